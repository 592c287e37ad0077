package graph

// nodeObeys verifies G9 for a node.
func (c *checker) nodeObeys(key []byte, n *nodeRec) error {
	for _, label := range n.labels {
		for _, r := range c.schema.onNodes[label] {
			if _, refused := r.refuses(n.props); refused && r.state == ConstraintReady {
				return c.violates(key, r)
			}
		}
	}
	return nil
}

// edgeObeys verifies G9 for an edge.
func (c *checker) edgeObeys(key []byte, p place, record string) error {
	if r := c.schema.ends[p.typ]; r != nil && r.state == ConstraintReady {
		if side, err := c.tx.bareEnd(r, p); err != nil || side >= 0 {
			if err == nil {
				err = c.violates(key, r)
			}
			return err
		}
	}
	rules := c.schema.onEdges[p.typ]
	if len(rules) == 0 {
		return nil
	}
	props, err := decodeEdge(record)
	if err != nil {
		return c.problem(key, "its record is malformed")
	}
	for _, r := range rules {
		if _, refused := r.refuses(props); refused && r.state == ConstraintReady {
			return c.violates(key, r)
		}
	}
	return nil
}

func (c *checker) violates(key []byte, r *rule) error {
	return c.problem(key, "it violates a constraint: "+c.tx.db.publicRule(r).String())
}

// ruleNamed verifies that a definition consists of names.
func (c *checker) ruleNamed(r *rule) error {
	db := c.tx.db
	for _, n := range r.names(db) {
		if n.dict.named(n.id) == nil {
			return c.problem(appendRuleKey(nil, r.id), "it has a name that is not in the catalog")
		}
	}
	return nil
}
