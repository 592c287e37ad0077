package graph

import (
	"container/heap"
	"math"
	"slices"
)

// WeightedShortestPath returns a path with the least sum of an edge property (Dijkstra, "A note on
// two problems in connexion with graphs", 1959). Each edge that it comes across and the filter allows must have a
// weight: a finite number that is not negative, else ErrWeight. MaxDepth is not supported, because a
// cheapest path under a limit is another problem. Errors besides: ErrNodeNotFound, ErrNoPath, ErrInvalid.
func (tx *Txn) WeightedShortestPath(from, to NodeID, property string, t Traversal) (Path, error) {
	if t.MaxDepth != 0 {
		return Path{}, invalid("a weighted path cannot have a maximal depth")
	}
	w, err := tx.newWalker(t, from, to)
	if err != nil {
		return Path{}, err
	}
	d := newDijkstra(w, from, property)
	cost, err := d.run(from, to)
	if err != nil {
		return Path{}, err
	}
	p, err := tx.pathOf(from, d.steps(from, to))
	p.Cost = cost
	return p, err
}

// route is the best known way to a node.
type route struct {
	cost float64
	by   Step
	done bool // no better one will be found
}

type dijkstra struct {
	*walker
	name     string
	property uint64 // id of name, 0 when it is not known yet
	best     map[NodeID]route
	queue    costQueue
}

func newDijkstra(w *walker, from NodeID, property string) *dijkstra {
	return &dijkstra{walker: w, name: property, best: map[NodeID]route{from: {}}}
}

func (d *dijkstra) run(from, to NodeID) (float64, error) {
	heap.Push(&d.queue, candidate{node: from})
	for d.queue.Len() > 0 {
		c := heap.Pop(&d.queue).(candidate)
		r := d.best[c.node]
		if r.done {
			continue
		}
		if c.node == to {
			return r.cost, nil
		}
		r.done = true
		d.best[c.node] = r
		if err := d.relax(c.node, r.cost); err != nil {
			return 0, err
		}
	}
	return 0, &NoPathError{from, to}
}

// relax improves the routes to a node's neighbours.
func (d *dijkstra) relax(node NodeID, cost float64) error {
	for e, err := range d.tx.records(node, d.rules.Direction, d.types) {
		if err != nil {
			return err
		}
		s := d.step(e.place, node)
		if allowed, err := d.allows(s); err != nil {
			return err
		} else if !allowed {
			continue
		}
		weight, err := d.weight(e)
		if err != nil {
			return err
		}
		if old, known := d.best[s.To]; known && old.cost <= cost+weight {
			continue
		}
		d.best[s.To] = route{cost: cost + weight, by: s}
		heap.Push(&d.queue, candidate{s.To, cost + weight})
	}
	return nil
}

func (d *dijkstra) weight(e edgeRec) (float64, error) {
	var v Value
	if d.property == 0 { // after the record was read, so that a name that it has is known (G8)
		d.property, _ = d.tx.db.properties.lookup(d.name)
	}
	if e.record != "" && d.property != 0 {
		r := recordReader{rest: e.record, ok: true}
		if v = r.find(d.property); !r.ok {
			return 0, d.tx.db.corrupt(appendOutKey(nil, e.place), "its record is malformed")
		}
	}
	weight, ok := v.AsFloat()
	if !ok || weight < 0 || math.IsNaN(weight) || math.IsInf(weight, 0) {
		return 0, &WeightError{Edge: e.edge, Property: d.name, Value: v}
	}
	return weight, nil
}

func (d *dijkstra) steps(from, to NodeID) []Step {
	var steps []Step
	for node := to; node != from; node = steps[len(steps)-1].From {
		steps = append(steps, d.best[node].by)
	}
	slices.Reverse(steps)
	return steps
}

// candidate is a node with the cost of a route to it; routes that have been improved since stay in the queue.
type candidate struct {
	node NodeID
	cost float64
}

// costQueue is a heap, cheapest first.
type costQueue []candidate

func (q costQueue) Len() int           { return len(q) }
func (q costQueue) Less(i, j int) bool { return q[i].cost < q[j].cost }
func (q costQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *costQueue) Push(x any)        { *q = append(*q, x.(candidate)) }
func (q *costQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
