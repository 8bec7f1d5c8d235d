"""Small stand-ins that are real: a random tiny Qwen2-VL checkpoint and chat datasets of the miniature world."""
