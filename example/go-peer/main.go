// A plugin in Go, written from the host's protocol alone: src/frame/PROTOCOL.md.
//
// See README.md for how to run it. This file joins the parts: handshake, transport, connection.

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// How long handlers get when the host has gone.
const lastHandlers = time.Second

func main() {
	own := limits{
		messageBytes: 4 << 20, calls: 256, streamWindowBytes: 64 << 10, connectionWindowBytes: 256 << 10,
		streams: 64, nestedCalls: 16, metadataBytes: 4 << 10,
	}
	if err := serve(newWords().service(), own); err != nil {
		fmt.Fprintf(os.Stderr, "go-peer: %v\n", err)
		os.Exit(1)
	}
}

// serve returns nil when the host has gone.
func serve(s service, own limits) error {
	// A write to a host that has gone is an error, and not the end of the process.
	signal.Ignore(syscall.SIGPIPE)
	in := bufio.NewReaderSize(os.Stdin, 128<<10)
	o, err := readOffer(in)
	if err != nil {
		return fmt.Errorf("no handshake on stdin, is this run by a host? %w", err)
	}
	if o.hello == nil {
		reason := fmt.Sprintf("this plugin speaks wire %d alone", wireVersion)
		_, _ = os.Stdout.Write(wire1Frame(wire1ErrorID, []byte(reason)))
		return errors.New(reason)
	}
	refused := o.hello.check(s)
	var way attached
	if refused == nil {
		way, refused = attach(o.hello.transports, in)
	}
	if refused != nil {
		_, _ = os.Stdout.Write(o.refusal(s, refused))
		return refused
	}
	if _, err := os.Stdout.Write(o.answer(s, own, way.transport)); err != nil {
		return nil // the host has gone already
	}
	if way.transport.kind == "stdio" {
		os.Stdout = os.Stderr // prints must not get between the frames
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out := newOutlet(way.out)
	c := newConnection(ctx, out, own, o.hello.limits, s.methods)
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	end := make(chan error, 1)
	go func() { end <- c.read(way.in) }()
	for {
		select {
		case <-terminate:
			c.drain(callErrorf("draining", "the plugin was asked to terminate"))
		case <-c.drained:
			out.close()
			return nil
		case err := <-end:
			cancel()
			waitFor(c, lastHandlers)
			return err
		}
	}
}

func waitFor(c *connection, atMost time.Duration) {
	through := make(chan struct{})
	go func() {
		c.running.Wait()
		close(through)
	}()
	select {
	case <-through:
	case <-time.After(atMost):
	}
}

// attached is a transport that works.
type attached struct {
	transport transport
	in        *bufio.Reader
	out       io.Writer
}

// attach takes the first offered transport that it can: the host lists the best first.
func attach(offered []transport, stdin *bufio.Reader) (attached, *callError) {
	for _, t := range offered {
		switch {
		case t.kind == "socket" && len(t.fds) == 1:
			file := os.NewFile(uintptr(t.fds[0]), "socket")
			socket, err := net.FileConn(file)
			_ = file.Close() // FileConn has made its own of it
			if err == nil {
				return attached{t, bufio.NewReaderSize(socket, 128<<10), socket}, nil
			}
		case t.kind == "stdio":
			return attached{t, stdin, os.Stdout}, nil
		}
	}
	return attached{}, callErrorf("handshake_mismatch", "none of the transports offered can be had: %v", offered)
}
