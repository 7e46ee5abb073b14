//go:build race

package sender_test

func init() { rounds, crew = 1, 20 }
