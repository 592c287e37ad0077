package mvcc

import (
	"io/fs"
	"math"
	"testing"
)

func TestMemoryOfMachine(t *testing.T) {
	const gib = 1 << 30
	meminfo := "MemTotal:       16777216 kB\nMemFree:  1 kB\n"
	cases := map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is known":  {nil, math.MaxInt64},
		"the machine":       {map[string]string{memInfo: meminfo}, 16 * gib},
		"a group's limit":   {map[string]string{memInfo: meminfo, ownGroup: "0::/a/b\n", groupRoot + "/a/b/memory.max": "1073741824\n"}, gib},
		"a parent's limit":  {map[string]string{memInfo: meminfo, ownGroup: "0::/a/b\n", groupRoot + "/a/b/memory.max": "max\n", groupRoot + "/a/memory.max": "2147483648\n"}, 2 * gib},
		"the root's limit":  {map[string]string{memInfo: meminfo, ownGroup: "0::/\n", groupRoot + "/memory.max": "3221225472\n"}, 3 * gib},
		"no limit":          {map[string]string{memInfo: meminfo, ownGroup: "0::/a\n", groupRoot + "/a/memory.max": "max\n"}, 16 * gib},
		"version 1":         {map[string]string{memInfo: meminfo, ownGroup: "5:cpu:/x\n4:memory:/x\n", groupRoot + "/memory/x/memory.limit_in_bytes": "1073741824\n"}, gib},
		"version 1, no end": {map[string]string{memInfo: meminfo, ownGroup: "4:memory:/\n", groupRoot + "/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 16 * gib},
		"garbage":           {map[string]string{memInfo: "MemTotal: x kB\n", ownGroup: "\n:\n0::\n"}, math.MaxInt64},
	}
	for name, c := range cases {
		got := memoryOfMachine(func(name string) ([]byte, error) {
			if text, ok := c.files[name]; ok {
				return []byte(text), nil
			}
			return nil, fs.ErrNotExist
		})
		if got != c.want {
			t.Errorf("%s: %d bytes, want %d", name, got, c.want)
		}
	}
}

func TestAutoMemoryIsShown(t *testing.T) {
	db := openTest(t, func(o *Options) { o.MemoryBudget = AutoMemory })
	if got := db.Health().MemoryBudget; got != autoMemory() || got < MinMemoryBudget {
		t.Errorf("the budget is %d", got)
	}
	c := db.Config()
	if c.MemoryBudget != db.Health().MemoryBudget || c.CacheBytes <= 0 || c.MaxLogBytes <= 0 {
		t.Errorf("the configuration is %+v", c)
	}
}
