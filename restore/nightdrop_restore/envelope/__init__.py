"""From a key and an envelope to the plaintext: the only code of the suite that decrypts."""
