package bench

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/sombradb/sombra/bench/internal/drive"
	"github.com/sombradb/sombra/bench/internal/gen"
	"github.com/sombradb/sombra/bench/internal/rmat"
	"github.com/sombradb/sombra/graph"
)

// Names in the graph, and sizes of FBWorkload.properties.
const (
	linkNode    = "Node"
	linkEdge    = "LINK"
	linkKey     = "link" // import key: a link is known by both of its ends
	linkNumber  = "number"
	linkVersion = "version"
	linkTime    = "time"
	linkVisible = "visibility"
	linkData    = "data"

	nodeDataSize  = 128    // bytes
	linkDataSize  = 8      // bytes
	linkListLimit = 10_000 // links
)

// links is the workload's database and what is known about it.
type links struct {
	db         *graph.DB
	graph      *rmat.Graph
	out        [][]uint32 // links at the start, by source
	nodes      linkNodes
	loaded     linkLedger
	requesters []requester
	next       atomic.Int64 // number of the next node
	clock      atomic.Int64

	readLinks, writeLinks, readNodes, writeNodes *gen.Zipf
}

// linkNodes are ids by number. Safe for concurrent use.
type linkNodes struct {
	mu      sync.RWMutex
	ids     []graph.NodeID
	numbers map[graph.NodeID]int64
}

func (n *linkNodes) id(number int64) graph.NodeID {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if number < int64(len(n.ids)) {
		return n.ids[number]
	}
	return 0 // not acknowledged yet, and no node's
}

func (n *linkNodes) number(id graph.NodeID) int64 {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.numbers[id]
}

func (n *linkNodes) append(number int64, id graph.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for int64(len(n.ids)) <= number {
		n.ids = append(n.ids, 0)
	}
	n.ids[number], n.numbers[id] = id, number
}

// requester is one client, with what it asks for at present.
type requester struct {
	ledger  linkLedger
	latency [linkKinds]*drive.Histogram
	number  int64        // node, or source of the link
	other   []int64      // destinations
	added   graph.NodeID // by the last add_node
}

// Exponents of access in FBWorkload.properties.
const (
	readLinkShape  = 0.8
	writeLinkShape = 0.741
	readNodeShape  = 0.625
	writeNodeShape = 0.606
)

func newLinks(g *rmat.Graph, requesters int) *links {
	n := int64(g.Nodes)
	l := &links{
		graph: g, out: make([][]uint32, n), requesters: make([]requester, requesters),
		readLinks: gen.NewZipf(n, readLinkShape), writeLinks: gen.NewZipf(n, writeLinkShape),
		readNodes: gen.NewZipf(n, readNodeShape), writeNodes: gen.NewZipf(n, writeNodeShape),
	}
	l.nodes.numbers = map[graph.NodeID]int64{}
	l.next.Store(n)
	for _, e := range g.Edges {
		l.out[e.Src] = append(l.out[e.Src], e.Dst)
	}
	for i := range l.requesters {
		for k := range linkKinds {
			l.requesters[i].latency[k] = drive.NewHistogram()
		}
	}
	return l
}

func (l *links) load(loader *graph.Loader) error {
	for n := range int64(l.graph.Nodes) {
		id, err := loader.CreateNode([]string{linkNode}, nodeProps(n, 0))
		if err != nil {
			return err
		}
		l.nodes.append(n, id)
		l.loaded.add(linkLedger{nodes: 1, nodeSum: nodeSum(n)})
	}
	for _, e := range l.graph.Edges {
		src, dst := int64(e.Src), int64(e.Dst)
		_, _, err := loader.CreateEdgeAs(linkKey, linkID(src, dst), l.nodes.id(src), l.nodes.id(dst), linkEdge, l.linkProps(src, dst, 0))
		if err != nil {
			return err
		}
		l.loaded.add(linkLedger{links: 1, linkSum: linkSum(src, dst)})
	}
	return nil
}

func linkID(src, dst int64) string {
	return strconv.FormatInt(src, 10) + ":" + strconv.FormatInt(dst, 10)
}

func nodeSum(number int64) Checksum { return Checksum(gen.Mix(uint64(number))) }

func linkSum(src, dst int64) Checksum { return Checksum(gen.Mix(uint64(src)<<32 | uint64(dst))) }

func nodeProps(number, version int64) graph.Props {
	return graph.Props{
		linkNumber: graph.Int(number), linkVersion: graph.Int(version), linkTime: graph.Int(version),
		linkData: graph.Bytes(gen.AppendValue(nil, uint64(number), uint64(version), nodeDataSize)),
	}
}

func (l *links) linkProps(src, dst, version int64) graph.Props {
	return graph.Props{
		linkVersion: graph.Int(version), linkVisible: graph.Int(1), linkTime: graph.Int(l.clock.Add(1)),
		linkData: graph.Bytes(gen.AppendValue(nil, uint64(linkSum(src, dst)), uint64(version), linkDataSize)),
	}
}

// draw chooses what the operation of a number does, and to what.
func (l *links) draw(r *requester, number uint64) (kind int) {
	h := gen.Mix(number)
	kind = kindOf(gen.Unit(h))
	h = gen.Mix(h)
	u := gen.Unit(h)
	h = gen.Mix(h)
	switch linkOps[kind].name {
	case "get_node":
		r.number = int64(l.readNodes.Rank(u))
	case "update_node":
		r.number = int64(l.writeNodes.Rank(u))
	case "add_node":
		r.number = l.next.Add(1) - 1
	case "delete_node":
		r.number = int64(u * float64(l.next.Load())) // uniform: the most popular ones should stay
	case "get_link_list", "count_link":
		r.number = int64(l.readLinks.Rank(u))
	case "multiget_link":
		r.number = int64(l.readLinks.Rank(u))
		l.drawExisting(r, h, geometric(h))
	case "add_link":
		r.number = int64(l.writeLinks.Rank(u))
		r.other = append(r.other[:0], int64(h%uint64(l.graph.Nodes)))
	default: // update_link, delete_link
		r.number = int64(l.writeLinks.Rank(u))
		l.drawExisting(r, h, 1)
	}
	return kind
}

// drawExisting chooses destinations of links that were there at the start; any where there was none.
func (l *links) drawExisting(r *requester, h uint64, n int) {
	r.other = r.other[:0]
	for range n {
		h = gen.Mix(h)
		if out := l.out[r.number]; len(out) > 0 {
			r.other = append(r.other, int64(out[h%uint64(len(out))]))
		} else {
			r.other = append(r.other, int64(h%uint64(l.graph.Nodes)))
		}
	}
}

// geometric draws from 1 to 128 with a mean of 2.6, as multiget_link does.
func geometric(h uint64) int {
	const stop = 0.382
	n := 1
	for ; n < 128 && gen.Unit(gen.Mix(h+uint64(n))) >= stop; n++ {
	}
	return n
}

// ledgerOfNode reads a node and compares its data with number and version.
func ledgerOfNode(node graph.Node) (linkLedger, error) {
	number, _ := node.Props[linkNumber].AsInt()
	version, _ := node.Props[linkVersion].AsInt()
	data, _ := node.Props[linkData].AsBytes()
	got, ok := gen.VersionOf(uint64(number), data)
	if !ok || got != uint64(version)&0xffff || len(data) != nodeDataSize || !gen.Whole(data) {
		return linkLedger{}, fmt.Errorf("bench: node %d of version %d has data of %d, %.40x", number, version, got, data)
	}
	return linkLedger{nodes: 1, nodeSum: nodeSum(number), nodeVersions: version}, nil
}

// ledgerOfLink reads a link and compares its data with ends and version.
func (l *links) ledgerOfLink(e graph.Edge) (linkLedger, error) {
	src, dst := l.nodes.number(e.Src), l.nodes.number(e.Dst)
	version, _ := e.Props[linkVersion].AsInt()
	data, _ := e.Props[linkData].AsBytes()
	if got, ok := gen.VersionOf(uint64(linkSum(src, dst)), data); !ok || got != uint64(version)&0xffff || len(data) != linkDataSize {
		return linkLedger{}, fmt.Errorf("bench: link %d to %d of version %d has data of %d, %x", src, dst, version, got, data)
	}
	return linkLedger{links: 1, linkSum: linkSum(src, dst), linkVersions: version}, nil
}

func (l *links) getNode(r *requester, tx *graph.Txn) (linkLedger, error) {
	node, err := tx.Node(l.nodes.id(r.number))
	if err == nil {
		_, err = ledgerOfNode(node)
	}
	return linkLedger{}, err
}

func (l *links) addNode(r *requester, tx *graph.Txn) (delta linkLedger, err error) {
	r.added, err = tx.CreateNode([]string{linkNode}, nodeProps(r.number, 0))
	return linkLedger{nodes: 1, nodeSum: nodeSum(r.number)}, err
}

func (l *links) updateNode(r *requester, tx *graph.Txn) (delta linkLedger, err error) {
	id := l.nodes.id(r.number)
	node, err := tx.LockNode(id)
	if err != nil {
		return delta, err
	}
	version, _ := node.Props[linkVersion].AsInt()
	return linkLedger{nodeVersions: 1}, tx.SetProperties(id, nodeProps(r.number, version+1))
}

// deleteNode deletes a node with its links.
func (l *links) deleteNode(r *requester, tx *graph.Txn) (delta linkLedger, err error) {
	id := l.nodes.id(r.number)
	node, err := tx.LockNode(id)
	if err != nil {
		return delta, err
	}
	gone, err := ledgerOfNode(node)
	if err != nil {
		return delta, err
	}
	for _, direction := range [...]graph.Direction{graph.Out, graph.In} {
		for e, err := range tx.Edges(id, direction, linkEdge) {
			if err != nil {
				return delta, err
			}
			if direction == graph.In && e.Src == e.Dst {
				continue // counted among those that leave
			}
			one, err := l.ledgerOfLink(e)
			if err != nil {
				return delta, err
			}
			gone.add(one)
		}
	}
	return gone.negative(), tx.DetachDelete(id)
}

// negative returns what takes the ledger away.
func (a linkLedger) negative() linkLedger {
	return linkLedger{-a.nodes, -a.links, -a.nodeSum, -a.linkSum, -a.nodeVersions, -a.linkVersions}
}

// putLink adds a link, or gives it a new version if it is there: LinkBench's add_link and update_link.
func (l *links) putLink(r *requester, tx *graph.Txn) (delta linkLedger, err error) {
	src, dst := r.number, r.other[0]
	id, created, err := tx.CreateEdgeAs(linkKey, linkID(src, dst), l.nodes.id(src), l.nodes.id(dst), linkEdge, l.linkProps(src, dst, 0))
	if err != nil {
		return delta, err
	}
	if created {
		return linkLedger{links: 1, linkSum: linkSum(src, dst)}, nil
	}
	e, err := tx.Edge(id)
	if err != nil {
		return delta, err
	}
	version, _ := e.Props[linkVersion].AsInt()
	return linkLedger{linkVersions: 1}, tx.SetEdgeProperties(id, l.linkProps(src, dst, version+1))
}

func (l *links) deleteLink(r *requester, tx *graph.Txn) (delta linkLedger, err error) {
	e, err := l.find(tx, r.number, r.other[0])
	if err != nil {
		return delta, err
	}
	if delta, err = l.ledgerOfLink(e); err != nil {
		return delta, err
	}
	return delta.negative(), tx.DeleteEdge(e.ID)
}

// find returns a link by its ends.
func (l *links) find(tx *graph.Txn, src, dst int64) (e graph.Edge, err error) {
	id, err := tx.LookupEdge(linkKey, linkID(src, dst))
	if err != nil {
		return e, err
	}
	return tx.Edge(id)
}

func (l *links) countLinks(r *requester, tx *graph.Txn) (linkLedger, error) {
	_, err := tx.Degree(l.nodes.id(r.number), graph.Out, linkEdge)
	return linkLedger{}, err
}

// getLinks looks for some links of a node.
func (l *links) getLinks(r *requester, tx *graph.Txn) (linkLedger, error) {
	for _, dst := range r.other {
		e, err := l.find(tx, r.number, dst)
		if errors.Is(err, graph.ErrEdgeNotFound) {
			continue
		}
		if err == nil {
			_, err = l.ledgerOfLink(e)
		}
		if err != nil {
			return linkLedger{}, err
		}
	}
	return linkLedger{}, nil
}

// getLinkList reads the newest links of a node.
func (l *links) getLinkList(r *requester, tx *graph.Txn) (linkLedger, error) {
	var list []graph.Edge
	id := l.nodes.id(r.number)
	for e, err := range tx.Edges(id, graph.Out, linkEdge) {
		if err != nil {
			return linkLedger{}, err
		}
		if e.Src != id || e.Props == nil {
			return linkLedger{}, fmt.Errorf("bench: link %d of node %d leaves node %d", e.ID, id, e.Src)
		}
		list = append(list, e)
	}
	newest(list)
	list = list[:min(len(list), linkListLimit)]
	return linkLedger{linkSum: 0}, nil
}
