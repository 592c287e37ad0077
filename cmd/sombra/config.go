package main

import (
	"io"
	"time"

	"github.com/sombradb/sombra/bench"
	"github.com/sombradb/sombra/mvcc"
)

// configInfo is what info --config prints.
type configInfo struct {
	PageSize       int           `json:"page_size_bytes"`
	SegmentSize    int64         `json:"segment_size_bytes"`
	Durability     string        `json:"durability"`
	MemoryBudget   int64         `json:"memory_budget_bytes"`
	Cache          int64         `json:"cache_bytes"`
	Copies         int64         `json:"copy_bytes"`
	Table          int64         `json:"table_bytes"`
	TableMax       int64         `json:"table_max_bytes"`
	WriteSets      int64         `json:"write_set_bytes"`
	LogQueue       int64         `json:"log_queue_bytes"`
	ReplayRate     int64         `json:"replay_bytes_per_second"`
	ReplayMeasured bool          `json:"replay_measured"`
	RecoveryTarget time.Duration `json:"recovery_target_ns"`
	MaxLog         int64         `json:"max_log_bytes"`
	RetainFor      time.Duration `json:"retain_ns"`
	RetainBytes    int64         `json:"retain_bytes"`
	LockTimeout    time.Duration `json:"lock_timeout_ns"`
}

func newConfigInfo(c mvcc.Config) *configInfo {
	return &configInfo{
		PageSize: c.PageSize, SegmentSize: c.SegmentSize, Durability: c.Durability.String(), MemoryBudget: c.MemoryBudget,
		Cache: c.CacheBytes, Copies: c.CopyBytes, Table: c.TableBytes, TableMax: c.TableMaxBytes, WriteSets: c.WriteSetBytes, LogQueue: c.LogQueueBytes,
		ReplayRate: c.ReplayRate, ReplayMeasured: c.ReplayMeasured, RecoveryTarget: c.RecoveryTarget, MaxLog: c.MaxLogBytes,
		RetainFor: c.Retain.Duration, RetainBytes: c.Retain.Bytes, LockTimeout: c.LockTimeout,
	}
}

func (c *configInfo) write(w io.Writer) error {
	l := &lines{w: w}
	l.field("page size", "%s, chosen at creation", bench.Bytes(int64(c.PageSize)))
	l.field("log segments", "%s each", bench.Bytes(c.SegmentSize))
	l.field("durability", "%s", c.Durability)
	l.field("memory budget", "%s", bench.Bytes(c.MemoryBudget))
	l.field("page cache", "%s, derived from it", bench.Bytes(c.Cache))
	l.field("adjacency", "%s for copies of adjacency lists, derived", bench.Bytes(c.Copies))
	l.field("version table", "%s until it is merged, up to %s while another one is, derived", bench.Bytes(c.Table), bench.Bytes(c.TableMax))
	l.field("write sets", "%s until they spill, derived", bench.Bytes(c.WriteSets))
	l.field("log queue", "%s, derived", bench.Bytes(c.LogQueue))
	how := "assumed"
	if c.ReplayMeasured {
		how = "measured at this opening"
	}
	l.field("replay", "%s/s, %s", bench.Bytes(c.ReplayRate), how)
	l.field("recovery", "at most %v of it, so a log of %s starts a checkpoint", c.RecoveryTarget, bench.Bytes(c.MaxLog))
	l.field("retention", "%v, %s", c.RetainFor, bench.Bytes(c.RetainBytes))
	l.field("lock timeout", "%v", c.LockTimeout)
	return l.err
}
