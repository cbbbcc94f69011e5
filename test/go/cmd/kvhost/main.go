// Command kvhost loads a KV plugin with the Go original's own code and checks
// it step by step; package report says how it is called.
package main

import (
	"bytes"
	"fmt"

	"bun-plug.test/go/internal/report"
	"github.com/elliotmr/plug/example"
)

func main() {
	run := report.Start()
	kv := report.Load(run, example.LoadKV)

	// Put and Get count as one call each.
	run.Step("calls", func(f report.Fields) error {
		f["calls"] = run.Calls()
		for i := 0; i < run.Calls(); i += 2 {
			if err := putGet(kv, fmt.Sprintf("key %d", i%64), fmt.Appendf(nil, "value %d", i)); err != nil {
				return fmt.Errorf("call %d: %w", i, err)
			}
		}
		return nil
	})
	run.Concurrently(func(i int) error {
		return putGet(kv, fmt.Sprintf("concurrent %d", i), fmt.Append(nil, i))
	})
	run.Fails("missing", func() error {
		_, err := kv.Get("missing")
		return err
	})
	// A failed call must not disturb the next one.
	run.Step("after missing", func(report.Fields) error { return putGet(kv, "k", []byte{1, 2, 3, 4}) })
	run.Step("empty value", func(report.Fields) error { return putGet(kv, "empty", nil) })
	run.Step("empty key", func(report.Fields) error { return putGet(kv, "", []byte("no name")) })
	run.Step("unicode key", func(report.Fields) error { return putGet(kv, "clé 🔑", []byte{0, 255}) })
	// Up to a pipe's 64 KiB a frame is safe; the original sends it in one write
	// and takes what comes back in two reads.
	run.Step("large value", func(f report.Fields) error {
		value := make([]byte, 60_000)
		for i := range value {
			value[i] = byte(i * 7)
		}
		f["bytes"] = len(value)
		return putGet(kv, "large", value)
	})
	run.End(func() {
		for {
			kv.Get("k")
		}
	})
}

func putGet(kv example.KV, key string, value []byte) error {
	if err := kv.Put(key, value); err != nil {
		return err
	}
	got, err := kv.Get(key)
	if err == nil && !bytes.Equal(got, value) {
		err = fmt.Errorf("value of %q is %.40x (%d bytes), want %.40x (%d bytes)", key, got, len(got), value, len(value))
	}
	return err
}
