"""The restore role: keys, and everything that decrypts. No other role imports it."""
