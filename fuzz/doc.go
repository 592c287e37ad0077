// Package fuzz holds the tests that go through all layers: crashes, faults and damage.
package fuzz
