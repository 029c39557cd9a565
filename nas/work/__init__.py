"""Running: the worker loop, who starts it, and what a study is made from before anything is created."""
