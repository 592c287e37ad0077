package deadlock

import "cmp"

// rule is one step of the choice of the victim: negative when a should end
// rather than b.
type rule struct {
	reason  string
	compare func(a, b *Waiter) int
}

// rules in order of weight. The last one leaves no equals.
var rules = [...]rule{
	{"lowest priority", func(a, b *Waiter) int { return cmp.Compare(a.Priority, b.Priority) }},
	{"fewest retries", func(a, b *Waiter) int { return cmp.Compare(a.Retries, b.Retries) }},
	{"least work", func(a, b *Waiter) int { return cmp.Compare(a.Work, b.Work) }},
	{"youngest", func(a, b *Waiter) int {
		return cmp.Or(cmp.Compare(b.Began, a.Began), cmp.Compare(b.ID, a.ID))
	}},
}

// Victim returns the position in cycle of the transaction to end, and why:
// lowest priority, then fewest retries, then least work, then the youngest. The
// reason is the step that ruled out the last rival. cycle holds indices into
// waiters, as Cycles returns them; for an empty one the position is -1.
func Victim(waiters []Waiter, cycle []int) (at int, reason string) {
	switch len(cycle) {
	case 0:
		return -1, ""
	case 1:
		return 0, "it waits for itself"
	}
	for i := 1; i < len(cycle); i++ {
		if step, order := compare(&waiters[cycle[i]], &waiters[cycle[at]]); step < len(rules) && order < 0 {
			at = i
		}
	}
	return at, rules[decisive(waiters, cycle, at)].reason
}

// compare returns the first rule that tells a from b, and its verdict.
func compare(a, b *Waiter) (step, order int) {
	for step = range rules {
		if order = rules[step].compare(a, b); order != 0 {
			return step, order
		}
	}
	return len(rules), 0
}

// decisive returns the rule that told the victim from its closest rival.
func decisive(waiters []Waiter, cycle []int, at int) int {
	last := 0
	for i := range cycle {
		if i == at {
			continue
		}
		step, _ := compare(&waiters[cycle[at]], &waiters[cycle[i]])
		last = max(last, min(step, len(rules)-1))
	}
	return last
}
