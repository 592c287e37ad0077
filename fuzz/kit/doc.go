// Package kit checks histories.
package kit
