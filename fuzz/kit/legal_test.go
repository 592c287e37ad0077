package kit

import (
	"testing"

	"pgregory.net/rapid"
)

func drawWorkload(t *rapid.T) Workload {
	return Workload{
		Seed:      rapid.Uint64().Draw(t, "seed"),
		Processes: rapid.IntRange(1, 8).Draw(t, "processes"),
		Keys:      rapid.IntRange(1, 12).Draw(t, "keys"),
		Zipf:      rapid.SampledFrom([]float64{0, 1.1, 2}).Draw(t, "zipf"),
		Lifetime:  rapid.SampledFrom([]int{5, 20, -1}).Draw(t, "lifetime"),
		MaxOps:    rapid.IntRange(1, 8).Draw(t, "ops"),
		Reads:     rapid.SampledFrom([]float64{0.2, 0.5}).Draw(t, "reads"),
		Ranges:    rapid.SampledFrom([]float64{0, 0.1, 0.4}).Draw(t, "ranges"),
		Held:      rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "held"),
		Levels:    rapid.SliceOfNDistinct(rapid.SampledFrom(everyLevel), 1, 5, rapid.ID).Draw(t, "levels"),
	}
}

func TestLegalHistoriesPassWithEveryOption(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := simulate(t, sound, drawWorkload(t), rapid.IntRange(1, 300).Draw(t, "transactions"))
		for _, opts := range []Options{{}, {Sessions: true}, {RealTime: true}, {Sessions: true, RealTime: true}} {
			if r := Check(h, opts); !r.OK() {
				t.Fatalf("%+v: %v", opts, r)
			}
		}
	})
}

// Transactions that run one after the other are legal at any level.
func TestSerialHistoriesPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorkload(t)
		w.Processes = 1
		h := simulate(t, sound, w, 100)
		level := rapid.SampledFrom(everyLevel).Draw(t, "level")
		for i := range h.Txns {
			h.Txns[i].Level = level
		}
		if r := Check(h, Options{Sessions: true, RealTime: true}); !r.OK() {
			t.Fatal(r)
		}
	})
}

// A history that is legal at a level is legal at all weaker ones.
func TestWeakerLevelsAllowMore(t *testing.T) {
	flaws := []flaw{sound, noReadValidation, noRangeValidation, staleSnapshot, lateReads, earlyPublish, lostCommit}
	rapid.Check(t, func(t *rapid.T) {
		h := simulate(t, rapid.SampledFrom(flaws).Draw(t, "flaw"), drawWorkload(t), rapid.IntRange(2, 40).Draw(t, "transactions"))
		opts := Options{Sessions: rapid.Bool().Draw(t, "sessions"), RealTime: rapid.Bool().Draw(t, "time")}
		ok := true
		for _, level := range everyLevel {
			for i := range h.Txns {
				h.Txns[i].Level = level
			}
			r := Check(h, opts)
			if verifyReport(t, h, r); r.OK() && !ok {
				t.Fatalf("legal at %v, but not at a weaker level", level)
			}
			ok = r.OK()
		}
	})
}

// An anomaly is forbidden from its level on, not below it.
func TestAnomaliesAreForbiddenFromTheirLevelOn(t *testing.T) {
	for _, s := range stories {
		if s.want == "" {
			continue
		}
		h := script(t, s.history)
		for i := range h.Txns {
			h.Txns[i].Level = StrictSerializable
		}
		if r := Check(h, s.opts); r.OK() {
			t.Errorf("%s passes at strict serializable", s.name)
		}
		for i := range h.Txns {
			h.Txns[i].Level = s.level - 1
		}
		if hasHeld(h) || s.level == ReadCommitted || s.level == StrictSerializable {
			continue
		}
		if r := Check(h, s.opts); r.Has(Class(s.want)) {
			t.Errorf("%s is found below %v:\n%v", s.name, s.level, r)
		}
	}
}

func hasHeld(h History) bool {
	for _, txn := range h.Txns {
		for _, o := range txn.Ops {
			if o.Held {
				return true
			}
		}
	}
	return false
}
