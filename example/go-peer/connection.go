// The connection: reads frames and does what they say. It knows the rules that the host must keep;
// what a call does on its own is in call.go. PROTOCOL.md, sections 4, 5, 7 and 9.
//
// One lock guards the connection and all its calls. Nothing that may take long is done under it,
// and a frame is put into the outlet under the same lock as the change of state that it tells of,
// so frames go out in the order in which things happened.

package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

// method is an rpc that this plugin serves.
type method struct {
	name string
	// Of flagClientStreams and flagServerStreams, those that the rpc has.
	streams flags
	// handle gets the request, which is nil with client streams, and returns the response, which is
	// left out with server streams. It should return soon after ctx is done.
	handle func(ctx context.Context, call *call, request []byte) ([]byte, error)
}

// The three classes of calls that are counted apart.
const (
	classUnary = iota
	classStream
	classNested
	classCount
)

type connection struct {
	out     *outlet
	own     limits // what this side accepts
	peer    limits // what the host accepts
	methods []method
	ctx     context.Context // done when the connection has ended
	drained chan struct{}   // closed after a go-away, when the last call has ended
	running sync.WaitGroup  // handlers

	mu       sync.Mutex
	calls    map[uint32]*call
	places   [classCount]uint32
	inUse    uint64 // outstanding on all streams from the host
	outUse   uint64 // outstanding on all streams to it
	draining bool
	ended    bool
}

func newConnection(ctx context.Context, out *outlet, own, peer limits, methods []method) *connection {
	return &connection{
		ctx: ctx, out: out, own: own, peer: peer, methods: methods,
		calls: map[uint32]*call{}, drained: make(chan struct{}),
	}
}

// read serves until the host goes, which is nil, or breaks a rule.
func (c *connection) read(in *bufio.Reader) error {
	for {
		f, err := readFrame(in)
		if err == nil {
			err = c.take(f)
		}
		if err == nil {
			continue
		}
		var broken violation
		if errors.As(err, &broken) {
			return err
		}
		return nil // the end of the transport, however it came, is the end of the host
	}
}

func (c *connection) take(f frame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.has(flagFromCallee) || f.kind == kindResponse || f.kind == kindError || f.kind == kindHeaders {
		return violationf("a frame of kind %d answers request %d, and this plugin makes none", f.kind, f.id)
	}
	switch f.kind {
	case kindRequest:
		return c.takeRequest(f)
	case kindPing:
		if f.id == 0 || len(f.payload) != 0 {
			return violationf("ping %d has a payload of %d bytes", f.id, len(f.payload))
		}
		c.out.put(frame{kind: kindPong, id: f.id})
		return nil
	case kindPong:
		return violationf("pong %d, and there was no ping", f.id)
	case kindGoAway: // no more calls to the host, and this plugin makes none
		return nil
	case kindService: // of references that the host makes; this plugin's service has none
		return nil
	case kindRelease:
		return violationf("an object is released, and this plugin has none")
	}

	call := c.calls[f.id]
	if call == nil {
		// Both cross with the last word.
		if f.kind == kindCancel || f.kind == kindCredit {
			return nil
		}
		return violationf("a frame of kind %d is for request %d, and there is none", f.kind, f.id)
	}
	switch f.kind {
	case kindContinue:
		return call.takePiece(f)
	case kindMessage:
		return call.takeMessage(f)
	case kindEnd:
		return call.takeEnd()
	case kindCancel:
		call.takeCancel()
	case kindCredit:
		if len(f.payload) != 4 {
			return violationf("credit of %d bytes", len(f.payload))
		}
		return call.takeCredit(uint64(binary.LittleEndian.Uint32(f.payload)))
	}
	return nil
}

func (c *connection) takeRequest(f frame) error {
	if f.id == 0 || c.calls[f.id] != nil {
		return violationf("request id %d is taken", f.id)
	}
	head, err := parseRequest(f)
	if err != nil {
		return err
	}
	if f.has(flagClientStreams) && (f.has(flagMore) || len(head.message) > 0) {
		return violationf("request %d streams and has a message of its own", f.id)
	}
	class, limit := classUnary, min(c.own.calls, c.peer.calls)
	switch {
	case f.has(flagNested):
		class, limit = classNested, min(c.own.nestedCalls, c.peer.nestedCalls)
	case f.has(flagClientStreams | flagServerStreams):
		class, limit = classStream, min(c.own.streams, c.peer.streams)
	}
	if c.places[class] >= limit {
		return violationf("request %d is more than the %d that are accepted at once", f.id, limit)
	}
	c.places[class]++
	call := &call{c: c, id: f.id, class: class, streams: f.flags & (flagClientStreams | flagServerStreams)}
	call.changed.L = &c.mu
	// The end of the caller's part: of the request, or of its stream of messages.
	call.callerOver = !f.has(flagMore | flagClientStreams)
	c.calls[f.id] = call

	if refused := c.refusal(f, head); refused != nil {
		call.lastWord(kindError, refused.encode())
		return nil
	}
	call.method = &c.methods[f.method]
	if call.headers, err = decodeMetadata(head.metadata); err != nil {
		return violationf("metadata of request %d: %v", f.id, err)
	}
	if f.has(flagDeadline) {
		// From now, so the time that a long request takes to come counts.
		call.ctx, call.cancel = context.WithTimeout(c.ctx, time.Duration(head.timeLeft)*time.Millisecond)
	} else {
		call.ctx, call.cancel = context.WithCancel(c.ctx)
	}
	if f.has(flagMore) {
		call.arriving = &assembly{whole: head.whole}
		_, err = call.arriving.add(head.message, true)
		return err
	}
	call.start(head.message)
	return nil
}

// refusal says why a call is not even started.
func (c *connection) refusal(f frame, head requestHead) *callError {
	switch {
	case c.draining && !f.has(flagNested):
		return callErrorf("draining", "the plugin takes no new calls")
	case f.method >= firstObjectID:
		return callErrorf("not_found", "the plugin has no object %d", head.object)
	case int(f.method) >= len(c.methods):
		return callErrorf("unimplemented", "the plugin has no method %d", f.method)
	case c.methods[f.method].streams != f.flags&(flagClientStreams|flagServerStreams):
		return callErrorf("unimplemented", "method %s is another kind of rpc", c.methods[f.method].name)
	case head.whole > c.own.messageBytes:
		return callErrorf("resource_exhausted", "a request of %d bytes, and the plugin accepts %d", head.whole, c.own.messageBytes)
	case len(head.metadata) > int(c.own.metadataBytes):
		return callErrorf("resource_exhausted", "metadata of %d bytes, and the plugin accepts %d", len(head.metadata), c.own.metadataBytes)
	}
	return nil
}

// requestHead is a request's payload, taken apart.
type requestHead struct {
	whole    uint32 // length of the message, all pieces together
	timeLeft uint32
	object   uint32
	metadata []byte
	message  []byte
}

func parseRequest(f frame) (head requestHead, err error) {
	rest := f.payload
	u32 := func() (value uint32) {
		if len(rest) < 4 {
			err = violationf("request %d is cut off", f.id)
			return 0
		}
		value, rest = binary.LittleEndian.Uint32(rest), rest[4:]
		return value
	}
	if f.has(flagMore) {
		head.whole = u32()
	}
	if f.has(flagDeadline) {
		head.timeLeft = u32()
	}
	if f.method >= firstObjectID {
		head.object = u32()
	}
	if f.has(flagMetadata) {
		length := u32()
		if err == nil && uint64(length) > uint64(len(rest)) {
			err = violationf("metadata of request %d is cut off", f.id)
		}
		if err == nil {
			head.metadata, rest = rest[:length], rest[length:]
		}
	}
	if !f.has(flagMore) {
		head.whole = uint32(len(rest))
	}
	head.message = rest
	return head, err
}

// release gives a call's id and place back, if both sides are through with it.
func (c *connection) release(call *call) {
	if !call.answered || !call.callerOver || c.calls[call.id] != call {
		return
	}
	delete(c.calls, call.id)
	c.places[call.class]--
	c.closeIfDrained()
}

// drain takes no new calls, and closes drained when those in flight are through.
func (c *connection) drain(reason *callError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.draining {
		return
	}
	c.draining = true
	c.out.put(frame{kind: kindGoAway, payload: reason.encode()})
	c.closeIfDrained()
}

func (c *connection) closeIfDrained() {
	if c.draining && len(c.calls) == 0 && !c.ended {
		c.ended = true
		close(c.drained)
	}
}

// wakeSenders is for when the connection's window has opened.
func (c *connection) wakeSenders() {
	for _, call := range c.calls {
		call.changed.Broadcast()
	}
}
