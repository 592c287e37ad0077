// Package wal is a write-ahead log of opaque records in segment files, with group commit.
package wal
