"""Recognition: windows, agreement, the batch schedule, the dispatcher, and the engines behind the Recognizer port."""
