// Package report makes of samples a Markdown document with plots beside it. It leaves nothing out: every participant is in
// every table, with the range of its rounds, and marks that were missed stand beside those that were reached.
//
// A figure is the median of the rounds. A ratio is the median of the ratios within rounds, because what slows the machine
// down for a while slows down both.
package report
