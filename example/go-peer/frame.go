// Frames: what they look like, and which of them there may be. PROTOCOL.md, section 4.

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

const (
	headerBytes     = 12
	maxPayloadBytes = 65_536
	firstObjectID   = 32_768 // method ids from here on are methods of objects
)

type kind uint8

const (
	kindRequest kind = 1 + iota
	kindResponse
	kindError
	kindContinue
	kindCancel
	kindMessage
	kindEnd
	kindCredit
	kindHeaders
	kindPing
	kindPong
	kindGoAway
	kindService
	kindRelease
)

type flags uint8

const (
	flagMore flags = 1 << iota
	flagFromCallee
	flagDeadline
	flagClientStreams
	flagServerStreams
	flagMetadata
	flagNested
	flagIgnorable
)

// What each kind may have; flagIgnorable may be on any.
var flagsOf = map[kind]flags{
	kindRequest:  flagMore | flagDeadline | flagClientStreams | flagServerStreams | flagMetadata | flagNested,
	kindResponse: flagMore | flagFromCallee | flagMetadata,
	kindError:    flagFromCallee | flagMetadata,
	kindContinue: flagMore | flagFromCallee,
	kindCancel:   0,
	kindMessage:  flagMore | flagFromCallee,
	kindEnd:      0,
	kindCredit:   flagFromCallee,
	kindHeaders:  flagFromCallee,
	kindPing:     0,
	kindPong:     0,
	kindGoAway:   0,
	kindService:  0,
	kindRelease:  0,
}

type frame struct {
	kind    kind
	flags   flags
	method  uint16
	id      uint32
	payload []byte
}

func (f frame) has(flag flags) bool { return f.flags&flag != 0 }

// violation is a rule of the protocol that the host has broken. It ends the connection.
type violation struct{ text string }

func (v violation) Error() string { return v.text }

func violationf(format string, args ...any) error {
	return violation{fmt.Sprintf(format, args...)}
}

// readFrame returns the next frame that this program knows. Its payload is the caller's to keep.
// io.EOF means that the host has gone between two frames.
func readFrame(in *bufio.Reader) (frame, error) {
	for {
		var header [headerBytes]byte
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return frame{}, err
		}
		length := binary.LittleEndian.Uint32(header[0:])
		f := frame{
			kind:   kind(header[4]),
			flags:  flags(header[5]),
			method: binary.LittleEndian.Uint16(header[6:]),
			id:     binary.LittleEndian.Uint32(header[8:]),
		}
		// Checked before memory is taken for it.
		if length > maxPayloadBytes {
			return f, violationf("a frame of kind %d announces a payload of %d bytes", f.kind, length)
		}
		f.payload = make([]byte, length)
		if _, err := io.ReadFull(in, f.payload); err != nil {
			return f, io.ErrUnexpectedEOF
		}
		allowed, known := flagsOf[f.kind]
		switch {
		case !known && f.has(flagIgnorable):
			continue
		case !known:
			return f, violationf("frame kind %d is unknown", f.kind)
		case f.flags&^(allowed|flagIgnorable) != 0:
			return f, violationf("a frame of kind %d has flags %#02x", f.kind, uint8(f.flags))
		case f.method != 0 && f.kind != kindRequest:
			return f, violationf("a frame of kind %d has method id %d", f.kind, f.method)
		}
		return f, nil
	}
}

func appendFrame(out []byte, f frame) []byte {
	out = binary.LittleEndian.AppendUint32(out, uint32(len(f.payload)))
	out = append(out, byte(f.kind), byte(f.flags))
	out = binary.LittleEndian.AppendUint16(out, f.method)
	out = binary.LittleEndian.AppendUint32(out, f.id)
	return append(out, f.payload...)
}

// split makes the frames of a message, of which the first has the given kind and flags, and prefix
// before the message.
func split(first frame, prefix, message []byte) []frame {
	if len(prefix)+len(message) <= maxPayloadBytes {
		first.payload = append(prefix, message...)
		return []frame{first}
	}
	room := maxPayloadBytes - 4 - len(prefix)
	first.flags |= flagMore
	first.payload = binary.LittleEndian.AppendUint32(nil, uint32(len(message)))
	first.payload = append(first.payload, prefix...)
	first.payload = append(first.payload, message[:min(room, len(message))]...)
	frames := []frame{first}
	for message = message[min(room, len(message)):]; len(message) > 0; {
		piece := message[:min(maxPayloadBytes, len(message))]
		message = message[len(piece):]
		next := frame{kind: kindContinue, flags: flagFromCallee | flagMore, id: first.id, payload: piece}
		frames = append(frames, next)
	}
	frames[len(frames)-1].flags &^= flagMore
	return frames
}

// assembly is a long message of which pieces come.
type assembly struct {
	whole uint32
	have  []byte
}

// add takes a piece and says whether it was the last one. Memory grows with what has come, and not
// by what was announced.
func (a *assembly) add(piece []byte, more bool) (complete bool, err error) {
	a.have = append(a.have, piece...)
	if got := uint64(len(a.have)); got > uint64(a.whole) || !more && got < uint64(a.whole) {
		return false, violationf("a message of %d bytes was announced and %d have come", a.whole, got)
	}
	return !more, nil
}
