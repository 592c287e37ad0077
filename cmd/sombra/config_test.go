package main

import "testing"

func TestInfoShowsWhatADatabaseWorksWith(t *testing.T) {
	db := smallWorld(t)
	wantLines(t, mustRun(t, "info", db, "--config", "--memory", "128MiB"), "memory budget", "128.0 MiB", "page cache", "derived", "copies of adjacency lists",
		"replay", "assumed", "recovery", "2s", "lock timeout")
	var c struct {
		Budget int64 `json:"memory_budget_bytes"`
		Cache  int64 `json:"cache_bytes"`
		Copies int64 `json:"copy_bytes"`
		MaxLog int64 `json:"max_log_bytes"`
	}
	mustJSON(t, &c, "info", db, "--config")
	if c.Budget != 64<<20 || c.Cache <= 0 || c.Cache >= c.Budget || c.MaxLog <= 0 || c.Copies <= 0 || c.Copies > c.Cache+1 {
		t.Errorf("got %+v", c)
	}
}
