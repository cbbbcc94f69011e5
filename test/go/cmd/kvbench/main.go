// Command kvbench times KV.Get of 16 bytes through the Go original's host, one
// call after the other and from 64 goroutines, and prints one line of JSON.
//
//	kvbench PLUGIN SECONDS
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elliotmr/plug/example"
)

func main() {
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	check(err)
	span := time.Duration(seconds * float64(time.Second))
	kv, err := example.LoadKV(os.Args[1])
	check(err)
	check(kv.Put("colour", []byte("0123456789abcdef")))
	for i := 0; i < 2000; i++ {
		get(kv)
	}
	latencies := make([]int64, 0, 1<<20)
	start := time.Now()
	for last := start; last.Sub(start) < span; {
		get(kv)
		now := time.Now()
		latencies = append(latencies, int64(now.Sub(last)))
		last = now
	}
	rate := float64(len(latencies)) / time.Since(start).Seconds()
	slices.Sort(latencies)
	var sum int64
	for _, ns := range latencies {
		sum += ns
	}
	check(json.NewEncoder(os.Stdout).Encode(map[string]any{
		"p50_ns":  latencies[len(latencies)/2],
		"p99_ns":  latencies[len(latencies)*99/100],
		"mean_ns": sum / int64(len(latencies)),
		"one":     rate,
		"many":    concurrent(kv, 64, span),
	}))
}

// concurrent returns calls per second of so many goroutines.
func concurrent(kv example.KV, callers int, span time.Duration) float64 {
	var calls atomic.Int64
	var wait sync.WaitGroup
	start := time.Now()
	for range callers {
		wait.Go(func() {
			for time.Since(start) < span {
				get(kv)
				calls.Add(1)
			}
		})
	}
	wait.Wait()
	return float64(calls.Load()) / time.Since(start).Seconds()
}

func get(kv example.KV) {
	value, err := kv.Get("colour")
	check(err)
	if len(value) != 16 {
		check(fmt.Errorf("got %d bytes", len(value)))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
