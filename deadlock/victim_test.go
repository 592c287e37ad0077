package deadlock

import (
	"testing"

	"pgregory.net/rapid"
)

func TestVictimFollowsTheRule(t *testing.T) {
	tests := []struct {
		name   string
		a, b   Waiter // b is to end
		reason string
	}{
		{"priority outweighs all", Waiter{ID: 1, Priority: 2}, Waiter{ID: 2, Priority: 1, Retries: 9, Work: 99}, "lowest priority"},
		{"then retries", Waiter{ID: 1, Retries: 1, Began: 9}, Waiter{ID: 2, Work: 99}, "fewest retries"},
		{"then work", Waiter{ID: 1, Work: 10, Began: 9}, Waiter{ID: 2, Work: 9}, "least work"},
		{"then age", Waiter{ID: 2, Began: 5}, Waiter{ID: 1, Began: 6}, "youngest"},
		{"then the id", Waiter{ID: 1}, Waiter{ID: 2}, "youngest"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			waiters := []Waiter{tt.a, tt.b}
			for _, cycle := range [][]int{{0, 1}, {1, 0}} {
				at, reason := Victim(waiters, cycle)
				if cycle[at] != 1 || reason != tt.reason {
					t.Errorf("of %v: ended %d (%s), want 1 (%s)", cycle, cycle[at], reason, tt.reason)
				}
			}
		})
	}
}

func TestVictimOfDegenerateCycles(t *testing.T) {
	if at, reason := Victim(nil, nil); at != -1 || reason != "" {
		t.Errorf("empty cycle: %d %q", at, reason)
	}
	if at, reason := Victim([]Waiter{{ID: 4}}, []int{0}); at != 0 || reason == "" {
		t.Errorf("cycle of one: %d %q", at, reason)
	}
}

// The reason must hold: the victim is alone with the least value of the named
// step among those equal in all steps before.
func TestTheReasonIsTheStepThatDecided(t *testing.T) {
	small := rapid.IntRange(0, 2)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 6).Draw(t, "parties")
		waiters := make([]Waiter, n)
		cycle := make([]int, n)
		for i := range waiters {
			cycle[i] = i
			waiters[i] = Waiter{
				ID:       TxnID(i),
				Priority: small.Draw(t, "priority"),
				Retries:  small.Draw(t, "retries"),
				Work:     int64(small.Draw(t, "work")),
				Began:    uint64(small.Draw(t, "began")),
			}
		}
		at, reason := Victim(waiters, cycle)
		wantAt, wantReason := dumbVictim(waiters)
		if at != wantAt || reason != wantReason {
			t.Fatalf("ended %d (%s), want %d (%s)", at, reason, wantAt, wantReason)
		}
	})
}

// dumbVictim narrows the candidates step by step.
func dumbVictim(waiters []Waiter) (int, string) {
	left := make([]int, len(waiters))
	for i := range left {
		left[i] = i
	}
	steps := []struct {
		name string
		cost func(Waiter) int
	}{
		{"lowest priority", func(w Waiter) int { return w.Priority }},
		{"fewest retries", func(w Waiter) int { return w.Retries }},
		{"least work", func(w Waiter) int { return int(w.Work) }},
		{"youngest", func(w Waiter) int { return -int(w.Began) }},
		{"youngest", func(w Waiter) int { return -int(w.ID) }},
	}
	for _, step := range steps {
		var best []int
		for _, i := range left {
			switch {
			case best == nil || step.cost(waiters[i]) < step.cost(waiters[best[0]]):
				best = []int{i}
			case step.cost(waiters[i]) == step.cost(waiters[best[0]]):
				best = append(best, i)
			}
		}
		if left = best; len(left) == 1 {
			return left[0], step.name
		}
	}
	return -1, ""
}
