"""The words of the field as frozen types. Pure: standard library only, no I/O, no clock.

Times are integer milliseconds of media time since the call's start unless a name says otherwise
(``*_at`` is an aware UTC ``datetime``). Audio for recognition is mono 16 kHz signed 16-bit little-endian.
"""
