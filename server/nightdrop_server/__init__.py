"""The server role: the door, the vault, enrolment. Gives no backup out at the door."""
