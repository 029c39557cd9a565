"""The command `nas`: one thin file per noun; a command parses, calls and prints."""
