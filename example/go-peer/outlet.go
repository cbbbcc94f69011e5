// The way out: frames are put in a buffer that one goroutine writes, so that many frames share a
// write, and the goroutine that reads never waits for the host to read.

package main

import (
	"io"
	"sync"
)

// Handlers wait while more than this is to be written.
const outletBytes = 256 << 10

type outlet struct {
	mu      sync.Mutex
	changed sync.Cond
	buffer  []byte
	closing bool
	err     error
	done    chan struct{}
}

func newOutlet(to io.Writer) *outlet {
	o := &outlet{done: make(chan struct{})}
	o.changed.L = &o.mu
	go o.write(to)
	return o
}

func (o *outlet) write(to io.Writer) {
	defer close(o.done)
	var spare []byte
	for {
		o.mu.Lock()
		for len(o.buffer) == 0 && !o.closing {
			o.changed.Wait()
		}
		batch := o.buffer
		o.buffer = spare[:0]
		o.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		_, err := to.Write(batch)
		spare = batch
		o.mu.Lock()
		if err != nil {
			o.err = err
			o.closing = true
		}
		o.changed.Broadcast()
		o.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// put adds a frame, at once.
func (o *outlet) put(f frame) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing {
		return
	}
	if len(o.buffer) == 0 {
		o.changed.Broadcast()
	}
	o.buffer = appendFrame(o.buffer, f)
}

// waitForRoom is for handlers, before they put something large.
func (o *outlet) waitForRoom() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.buffer) > outletBytes && !o.closing {
		o.changed.Wait()
	}
}

// close returns when all that was put has been written.
func (o *outlet) close() {
	o.mu.Lock()
	o.closing = true
	o.changed.Broadcast()
	o.mu.Unlock()
	<-o.done
}
