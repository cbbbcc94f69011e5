// The handshake: one frame of wire 1 from the host on stdin, one to it on stdout.
// PROTOCOL.md, sections 1 to 3.

package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
)

const (
	wireVersion       = 2
	roleHost          = 1
	rolePlugin        = 2
	maxHandshakeBytes = 4_096
	wire1ErrorID      = 0xFF00
)

// service is what this plugin serves.
type service struct {
	name    string
	magic   string
	version uint32
	// Ids of methods are places in this list, which need not be that of the .proto file: the answer
	// says which method is where.
	methods []method
}

type transport struct {
	kind string
	fds  []uint32
}

// hello is what the host has said, as far as this plugin minds it.
type hello struct {
	role       uint32
	protocols  []uint32
	services   map[string][]uint32 // versions by name
	limits     limits
	transports []transport
}

// offer is the host's frame. Without hello the host is the Go original.
type offer struct {
	id    uint16
	hello *hello
}

func readOffer(in *bufio.Reader) (offer, error) {
	var id [2]byte
	if _, err := io.ReadFull(in, id[:]); err != nil {
		return offer{}, err
	}
	o := offer{id: binary.BigEndian.Uint16(id[:])}
	length, err := binary.ReadUvarint(in)
	if err != nil {
		return o, err
	}
	if o.id&0xFF != 0xFF || length > maxHandshakeBytes {
		return o, violationf("frame %#04x of %d bytes is no handshake", o.id, length)
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(in, payload); err != nil {
		return o, err
	}
	handshake, err := decode(payload)
	if encoded := handshake.last(10).bytes; encoded != nil && err == nil {
		o.hello, err = decodeHello(encoded)
	}
	return o, err
}

func decodeHello(encoded []byte) (*hello, error) {
	m, wrong := decode(encoded)
	services, wrongServices := m.messages(3)
	limits, wrongLimits := decodeLimits(m.last(4).bytes)
	transports, wrongTransports := m.messages(5)
	h := &hello{role: m.number(1), protocols: m.numbers(2), services: map[string][]uint32{}, limits: limits}
	for _, s := range services {
		h.services[s.text(1)] = s.numbers(2)
	}
	for _, t := range transports {
		h.transports = append(h.transports, transport{t.text(1), t.numbers(2)})
	}
	return h, errors.Join(wrong, wrongServices, wrongLimits, wrongTransports)
}

// check says why this plugin cannot serve what the host wants.
func (h *hello) check(s service) *callError {
	if h.role != roleHost {
		return callErrorf("handshake_mismatch", "role %d is not that of a host", h.role)
	}
	if !slices.Contains(h.protocols, wireVersion) {
		return callErrorf("handshake_mismatch", "the host speaks wire %v, this plugin wire %d", h.protocols, wireVersion)
	}
	for name, versions := range h.services {
		if name != s.name || !slices.Contains(versions, s.version) {
			return callErrorf("handshake_mismatch", "the host wants %s in version %v, this plugin serves %s in version %d",
				name, versions, s.name, s.version)
		}
	}
	return nil
}

// answer is the one frame that accepts the offer, on the transport that was chosen.
func (o offer) answer(s service, own limits, chosen transport) []byte {
	served := appendNumber(appendString(nil, 1, s.name), 2, s.version)
	for _, m := range s.methods {
		served = appendString(served, 3, m.name)
	}
	way := appendString(nil, 1, chosen.kind)
	for _, fd := range chosen.fds {
		way = appendNumber(way, 2, fd)
	}
	out := helloHead()
	if _, wanted := o.hello.services[s.name]; wanted {
		out = appendBytes(out, 3, served)
	}
	out = appendBytes(out, 4, own.encode())
	out = appendBytes(out, 5, way)
	return o.frame(s, out)
}

// refusal is the frame that ends the handshake with an error.
func (o offer) refusal(s service, reason *callError) []byte {
	return o.frame(s, appendBytes(helloHead(), 7, reason.encode()))
}

func helloHead() []byte {
	name := fmt.Sprintf("go-peer/1 %s %s-%s", runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return appendString(appendNumber(appendNumber(nil, 1, rolePlugin), 2, wireVersion), 6, name)
}

func (o offer) frame(s service, hello []byte) []byte {
	handshake := appendString(appendNumber(nil, 1, s.version), 2, s.magic)
	return wire1Frame(o.id, appendBytes(handshake, 10, hello))
}

func wire1Frame(id uint16, payload []byte) []byte {
	out := binary.BigEndian.AppendUint16(nil, id)
	return append(binary.AppendUvarint(out, uint64(len(payload))), payload...)
}
