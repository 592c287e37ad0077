package lockmgr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sombradb/sombra/deadlock"
)

// model is the lock table as dumb as it can be: maps and slices, every rule read
// off the package documentation and applied by looking at everything.
type model struct {
	keys map[string]*modelKey
}

type modelKey struct {
	holders map[int]Mode
	queue   []modelRequest
}

type modelRequest struct {
	owner      int
	mode, held Mode
}

func newModel() *model { return &model{keys: map[string]*modelKey{}} }

func (m *model) key(name string) *modelKey {
	if m.keys[name] == nil {
		m.keys[name] = &modelKey{holders: map[int]Mode{}}
	}
	return m.keys[name]
}

// modelCompatible is the table of the documentation.
func modelCompatible(a, b Mode) bool {
	pair := a.String() + b.String()
	return pair == "SS" || pair == "SU" || pair == "US" || pair == "AA"
}

// modelJoin is the weakest mode that includes both.
func modelJoin(a, b Mode) Mode {
	switch pair := a.String() + b.String(); {
	case a == b || b == None:
		return a
	case a == None:
		return b
	case pair == "SU" || pair == "US":
		return U
	default:
		return X
	}
}

// request asks for a lock; wait says whether to queue. The result is "held",
// "granted", "waits" or "refused".
func (m *model) request(owner int, name string, mode Mode, wait bool) string {
	k := m.key(name)
	held := k.holders[owner]
	mode = modelJoin(held, mode)
	if held == mode {
		return "held"
	}
	r := modelRequest{owner, mode, held}
	at := len(k.queue)
	if r.held != None {
		for i, other := range k.queue {
			ordinary := other.held == None
			if !modelCompatible(other.mode, r.held) || ordinary && !modelCompatible(other.mode, mode) {
				at = i
				break
			}
		}
	}
	if len(k.blockers(r, k.queue[:at])) == 0 {
		k.holders[owner] = mode
		return "granted"
	}
	if !wait {
		return "refused"
	}
	k.queue = slices.Insert(k.queue, at, r)
	return "waits"
}

// blockers returns all that a request waits for, the requests ahead given.
func (k *modelKey) blockers(r modelRequest, ahead []modelRequest) []int {
	var found []int
	for owner, mode := range k.holders {
		if owner != r.owner && !modelCompatible(mode, r.mode) {
			found = append(found, owner)
		}
	}
	for _, other := range ahead {
		if !modelCompatible(other.mode, r.mode) {
			found = append(found, other.owner)
		}
	}
	return found
}

// serve grants until nothing more can be granted.
func (k *modelKey) serve() {
	for i := 0; i < len(k.queue); i++ {
		if r := k.queue[i]; len(k.blockers(r, k.queue[:i])) == 0 {
			k.holders[r.owner] = r.mode
			k.queue = slices.Delete(k.queue, i, i+1)
			i = -1
		}
	}
}

func (m *model) release(owner int) {
	for _, k := range m.keys {
		delete(k.holders, owner)
		k.serve()
	}
}

// withdraw ends the wait of an owner without a grant.
func (m *model) withdraw(owner int) {
	for _, k := range m.keys {
		k.queue = slices.DeleteFunc(k.queue, func(r modelRequest) bool { return r.owner == owner })
		k.serve()
	}
}

func (m *model) waits(owner int) bool {
	for _, k := range m.keys {
		if slices.ContainsFunc(k.queue, func(r modelRequest) bool { return r.owner == owner }) {
			return true
		}
	}
	return false
}

// wait returns the key that the owner waits for, and its request.
func (m *model) wait(owner int) (string, modelRequest) {
	for name, k := range m.keys {
		for _, r := range k.queue {
			if r.owner == owner {
				return name, r
			}
		}
	}
	return "", modelRequest{}
}

// locks counts the keys that the owner holds.
func (m *model) locks(owner int) (n int) {
	for _, k := range m.keys {
		if k.holders[owner] != None {
			n++
		}
	}
	return n
}

// blocked returns everyone that the owner waits for.
func (m *model) blocked(owner int) []int {
	for _, k := range m.keys {
		for i, r := range k.queue {
			if r.owner == owner {
				return k.blockers(r, k.queue[:i])
			}
		}
	}
	return nil
}

// graph returns the whole wait-for graph, with every blocker.
func (m *model) graph(owners int) []deadlock.Waiter {
	var waiters []deadlock.Waiter
	for owner := range owners {
		if !m.waits(owner) {
			continue
		}
		w := deadlock.Waiter{ID: deadlock.TxnID(owner)}
		for _, b := range m.blocked(owner) {
			w.Blockers = append(w.Blockers, deadlock.TxnID(b))
		}
		waiters = append(waiters, w)
	}
	return waiters
}

// String renders the locked keys as stateString does those of the table.
func (m *model) String() string {
	var lines []string
	for name, k := range m.keys {
		if len(k.holders) == 0 {
			continue
		}
		var holders, queue []string
		for owner, mode := range k.holders {
			holders = append(holders, fmt.Sprintf("%d:%v", owner, mode))
		}
		for _, r := range k.queue {
			queue = append(queue, fmt.Sprintf("%d:%v", r.owner, r.mode))
		}
		lines = append(lines, stateLine(name, holders, queue))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func stateString(t *Table) string {
	var lines []string
	for _, k := range t.Locks(true) {
		var holders, queue []string
		for _, h := range k.Holders {
			holders = append(holders, fmt.Sprintf("%d:%v", h.Owner, h.Mode))
		}
		for _, w := range k.Queue {
			queue = append(queue, fmt.Sprintf("%d:%v", w.Owner, w.Mode))
		}
		lines = append(lines, stateLine(strings.Trim(k.Key, `"`), holders, queue))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func stateLine(key string, holders, queue []string) string {
	slices.Sort(holders)
	return fmt.Sprintf("%s %v <- %v", key, holders, queue)
}
