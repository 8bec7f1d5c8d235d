"""Small stand-ins that are real: a random tiny Qwen2-VL checkpoint and chat data of the miniature world."""
