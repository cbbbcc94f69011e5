// A call that the host has made: what comes for it, what its handler says, and the credit of its
// streams. PROTOCOL.md, sections 5 to 7. Names of methods that begin with "take", and those in
// lower case that say so, need the connection's lock.

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// What a message of a stream costs besides its length.
const messageCost = 12

type call struct {
	c       *connection
	id      uint32
	class   int
	streams flags
	method  *method
	ctx     context.Context
	cancel  context.CancelFunc
	headers []entry // of the request
	// Trailers are sent with the last word; only the handler touches them.
	trailers []entry

	changed     sync.Cond // anything below
	answered    bool      // the last word has been said, and its last piece
	callerOver  bool      // nothing more comes but a cancel: the request is complete, or its stream over
	arriving    *assembly // a long request, or a long message of the stream
	inbox       [][]byte  // messages that the handler has not taken
	inUse       uint64    // outstanding on the stream from the host
	owed        uint64    // of it, what the handler has taken and the host has not got back
	outUse      uint64    // outstanding on the stream to the host
	headersSent bool
}

// start runs the handler. Needs the lock.
func (call *call) start(request []byte) {
	c, ctx := call.c, call.ctx
	c.running.Add(1)
	go func() {
		defer c.running.Done()
		defer call.cancel()
		// A sender or a receiver that waits looks at the deadline too.
		defer context.AfterFunc(ctx, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			call.changed.Broadcast()
		})()
		response, err := call.handle(ctx, request)
		if err != nil {
			call.fail(err)
		} else {
			call.respond(response)
		}
	}()
}

func (call *call) handle(ctx context.Context, request []byte) (response []byte, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			err = callErrorf("internal", "%s panicked: %v", call.method.name, reason)
		}
	}()
	return call.method.handle(ctx, call, request)
}

func (call *call) fail(err error) {
	var known *callError
	switch {
	case errors.As(err, &known):
	case errors.Is(err, context.DeadlineExceeded):
		known = callErrorf("deadline_exceeded", "%v", err)
	case errors.Is(err, context.Canceled):
		known = callErrorf("cancelled", "%v", err)
	default:
		known = callErrorf("unknown", "%v", err)
	}
	call.c.mu.Lock()
	defer call.c.mu.Unlock()
	call.lastWord(kindError, known.encode())
}

func (call *call) respond(response []byte) {
	c := call.c
	if len(response) > int(c.peer.messageBytes) {
		call.fail(callErrorf("resource_exhausted", "a response of %d bytes, and the host accepts %d", len(response), c.peer.messageBytes))
		return
	}
	prefix, err := call.trailerPrefix()
	if err != nil {
		call.fail(err)
		return
	}
	first := frame{kind: kindResponse, flags: flagFromCallee, id: call.id}
	if prefix != nil {
		first.flags |= flagMetadata
	}
	_ = call.sendPieces(split(first, prefix, response), func() { call.over() })
}

// sendPieces sends frames of which each may have to wait for room, and stops when the call has been
// given up. `atLast` is done along with the last one.
func (call *call) sendPieces(frames []frame, atLast func()) error {
	c := call.c
	for i, f := range frames {
		c.out.waitForRoom()
		c.mu.Lock()
		if call.answered {
			c.mu.Unlock()
			return context.Canceled
		}
		c.out.put(f)
		if i == len(frames)-1 {
			atLast()
		}
		c.mu.Unlock()
	}
	return nil
}

// trailerPrefix is what comes before the message of a last word, or nil.
func (call *call) trailerPrefix() ([]byte, error) {
	if len(call.trailers) == 0 {
		return nil, nil
	}
	metadata := encodeMetadata(call.trailers)
	if limit := call.c.peer.metadataBytes; len(metadata) > int(limit) {
		call.trailers = nil
		return nil, callErrorf("resource_exhausted", "trailers of %d bytes, and the host accepts %d", len(metadata), limit)
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(metadata))), metadata...), nil
}

// lastWord says an error, unless the last word has been said. Needs the lock.
func (call *call) lastWord(k kind, payload []byte) {
	if call.answered {
		return
	}
	call.c.out.put(frame{kind: k, flags: flagFromCallee, id: call.id, payload: payload})
	call.over()
}

// over is after the last word. Needs the lock.
func (call *call) over() {
	c := call.c
	call.answered = true
	c.outUse -= call.outUse
	c.inUse -= call.inUse
	call.outUse, call.inUse, call.owed = 0, 0, 0
	call.inbox, call.arriving = nil, nil
	if call.cancel != nil {
		call.cancel()
	}
	call.changed.Broadcast()
	c.wakeSenders()
	c.release(call)
}

// SendHeaders sends response headers. At most once, and before the first message.
func (call *call) SendHeaders(entries []entry) error {
	metadata := encodeMetadata(entries)
	if limit := call.c.peer.metadataBytes; len(metadata) > int(limit) {
		return callErrorf("resource_exhausted", "headers of %d bytes, and the host accepts %d", len(metadata), limit)
	}
	call.c.mu.Lock()
	defer call.c.mu.Unlock()
	if call.headersSent {
		return callErrorf("internal", "headers were sent twice, or after a message")
	}
	call.headersSent = true
	if !call.answered {
		call.c.out.put(frame{kind: kindHeaders, flags: flagFromCallee, id: call.id, payload: metadata})
	}
	return nil
}

// Send sends a message of the stream, and waits for credit first.
func (call *call) Send(message []byte) error {
	c := call.c
	if len(message) > int(c.peer.messageBytes) {
		return callErrorf("resource_exhausted", "a message of %d bytes, and the host accepts %d", len(message), c.peer.messageBytes)
	}
	frames := split(frame{kind: kindMessage, flags: flagFromCallee, id: call.id}, nil, message)
	c.out.waitForRoom()
	c.mu.Lock()
	call.headersSent = true
	for call.stopped() == nil && !call.hasCredit() {
		call.changed.Wait()
	}
	if err := call.stopped(); err != nil {
		c.mu.Unlock()
		return err
	}
	// Charged along with the first frame: the host counts in the order in which messages come.
	call.outUse += uint64(len(message)) + messageCost
	c.outUse += uint64(len(message)) + messageCost
	c.out.put(frames[0])
	c.mu.Unlock()
	return call.sendPieces(frames[1:], func() {})
}

func (call *call) hasCredit() bool {
	c := call.c
	return call.outUse < uint64(c.peer.streamWindowBytes) &&
		(c.outUse < uint64(c.peer.connectionWindowBytes) || call.outUse == 0)
}

// Receive returns the next message of the stream, or io.EOF after the last one. While it waits, the
// host has got back all that it may have.
func (call *call) Receive() ([]byte, error) {
	c := call.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(call.inbox) == 0 && !call.callerOver && call.stopped() == nil {
		call.giveBack()
		call.changed.Wait()
	}
	if err := call.stopped(); err != nil {
		return nil, err
	}
	if len(call.inbox) == 0 {
		return nil, io.EOF
	}
	message := call.inbox[0]
	call.inbox = call.inbox[1:]
	call.owed += uint64(len(message)) + messageCost
	if call.owed >= uint64(c.own.streamWindowBytes)/2 {
		call.giveBack()
	}
	return message, nil
}

// giveBack sends credit for what was taken. Needs the lock.
func (call *call) giveBack() {
	if call.owed == 0 {
		return
	}
	call.inUse -= call.owed
	call.c.inUse -= call.owed
	payload := binary.LittleEndian.AppendUint32(nil, uint32(call.owed))
	call.owed = 0
	call.c.out.put(frame{kind: kindCredit, flags: flagFromCallee, id: call.id, payload: payload})
}

// stopped is why the handler should stop, or nil. Needs the lock.
func (call *call) stopped() error {
	if err := call.ctx.Err(); err != nil {
		return err
	}
	if call.answered {
		return context.Canceled
	}
	return nil
}

func (call *call) takeMessage(f frame) error {
	c := call.c
	if call.streams&flagClientStreams == 0 || call.callerOver || call.arriving != nil {
		return violationf("a message for request %d, which expects none now", call.id)
	}
	if call.answered {
		return nil // the host has not heard yet
	}
	whole, piece := uint32(len(f.payload)), f.payload
	if f.has(flagMore) {
		if len(piece) < 4 {
			return violationf("a message for request %d is cut off", call.id)
		}
		whole, piece = binary.LittleEndian.Uint32(piece), piece[4:]
	}
	if call.inUse >= uint64(c.own.streamWindowBytes) ||
		c.inUse >= uint64(c.own.connectionWindowBytes) && call.inUse > 0 {
		return violationf("a message for request %d was started without credit: %d of %d bytes are outstanding on its stream, %d of %d on the connection",
			call.id, call.inUse, c.own.streamWindowBytes, c.inUse, c.own.connectionWindowBytes)
	}
	if whole > c.own.messageBytes {
		call.lastWord(kindError, callErrorf("resource_exhausted", "a message of %d bytes, and the plugin accepts %d", whole, c.own.messageBytes).encode())
		return nil
	}
	call.inUse += uint64(whole) + messageCost
	c.inUse += uint64(whole) + messageCost
	if !f.has(flagMore) {
		call.deliver(piece)
		return nil
	}
	call.arriving = &assembly{whole: whole}
	_, err := call.arriving.add(piece, true)
	return err
}

func (call *call) takePiece(f frame) error {
	isRequest := call.streams&flagClientStreams == 0
	if call.answered {
		// The host has not heard yet; a request that has come as a whole needs no cancel.
		if isRequest && !f.has(flagMore) {
			call.callerOver = true
			call.c.release(call)
		}
		return nil
	}
	if call.arriving == nil {
		return violationf("a piece for request %d, of which no message is on its way", call.id)
	}
	complete, err := call.arriving.add(f.payload, f.has(flagMore))
	if err != nil || !complete {
		return err
	}
	message := call.arriving.have
	call.arriving = nil
	if isRequest {
		call.callerOver = true
		call.start(message)
	} else {
		call.deliver(message)
	}
	return nil
}

func (call *call) deliver(message []byte) {
	call.inbox = append(call.inbox, message)
	call.changed.Broadcast()
}

func (call *call) takeEnd() error {
	if call.streams&flagClientStreams == 0 || call.callerOver || call.arriving != nil {
		return violationf("an end for request %d, which expects none now", call.id)
	}
	call.callerOver = true
	call.changed.Broadcast()
	call.c.release(call)
	return nil
}

func (call *call) takeCancel() {
	call.callerOver = true
	call.lastWord(kindError, callErrorf("cancelled", "the host has given the call up").encode())
	call.c.release(call)
}

func (call *call) takeCredit(credit uint64) error {
	if call.answered {
		return nil
	}
	if credit > call.outUse {
		return violationf("credit of %d bytes for request %d, of which %d are outstanding", credit, call.id, call.outUse)
	}
	wasFull := call.c.outUse >= uint64(call.c.peer.connectionWindowBytes)
	call.outUse -= credit
	call.c.outUse -= credit
	call.changed.Broadcast()
	if wasFull {
		call.c.wakeSenders()
	}
	return nil
}
