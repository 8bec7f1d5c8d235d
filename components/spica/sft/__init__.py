"""Fine-tuning: packed batches, one training loop on DeepSpeed's engine, a checkpoint that vLLM loads."""
