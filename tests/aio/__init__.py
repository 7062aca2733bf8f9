"""What is asyncio's own, beyond the contract."""
