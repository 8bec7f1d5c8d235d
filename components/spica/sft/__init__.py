"""Fine-tuning: packed batches, one training loop on DeepSpeed's engine, started by torchrun, exported for vLLM."""
