// Package figures turns measurements that were repeated into figures: a [Sample] is one measurement, a [Figure] all those of
// one setting, with medians and their range. Samples are kept as JSON lines behind a line that describes the environment.
//
// Rounds are interleaved: each setting is measured once in every round. So what changes slowly on a machine meets all
// settings alike, and ratios within a round mean more than ratios of figures of different rounds ([Ratio]).
package figures
