"""The live loop of a call: a pure session in the middle, a runner with the I/O around it."""
