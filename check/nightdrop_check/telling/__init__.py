"""Telling people and services: mails, notifications, pings, and when each is due."""
