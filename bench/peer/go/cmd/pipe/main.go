// Command pipe is a limit, and no peer: two processes that read and write pipes, with nothing in
// between but a length. Started with the argument "child" it is the other end.
//
//	pipe JOB
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"os"
	"os/exec"

	"bun-plug.bench/internal/measure"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "child" {
		serve()
		return
	}
	measure.Main(open)
}

// pipes is a child process. A message is its length in 4 bytes, and the length of the answer in 4.
type pipes struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	put     int
	request []byte
	answer  []byte
}

func open([]string) (measure.Subject, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(self, "child")
	in, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &pipes{command: command, in: in, out: bufio.NewReaderSize(out, 1<<16)}, command.Start()
}

const header = 8

// exchange sends so many bytes, and returns so many that came back.
func (p *pipes) exchange(sent []byte, wanted int) ([]byte, error) {
	p.request = append(binary.LittleEndian.AppendUint32(
		binary.LittleEndian.AppendUint32(p.request[:0], uint32(len(sent))), uint32(wanted)), sent...)
	// In a goroutine where a pipe cannot hold it: both ends would wait for each other else.
	written := make(chan error, 1)
	if len(p.request) > 1<<15 {
		go func() { _, err := p.in.Write(p.request); written <- err }()
	} else {
		_, err := p.in.Write(p.request)
		written <- err
	}
	if cap(p.answer) < wanted {
		p.answer = make([]byte, wanted)
	}
	_, err := io.ReadFull(p.out, p.answer[:wanted])
	if err != nil {
		return nil, err
	}
	return p.answer[:wanted], <-written
}

func (p *pipes) Get(_ context.Context, key string) ([]byte, error) {
	wanted := p.put
	if key == measure.SmallKey {
		wanted = len(measure.SmallValue())
	}
	return p.exchange([]byte(key), wanted)
}

func (p *pipes) Put(_ context.Context, _ string, value []byte) error {
	p.put = len(value)
	_, err := p.exchange(value, 1)
	return err
}

func (p *pipes) Echo(_ context.Context, data []byte) ([]byte, error) {
	return p.exchange(data, len(data))
}

func (p *pipes) Transport() string { return "pipes" }

func (p *pipes) Close() {
	p.in.Close()
	_ = p.command.Wait()
}

func serve() {
	in := bufio.NewReaderSize(os.Stdin, 1<<16)
	var head [header]byte
	var sent, answer []byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		sentBytes := int(binary.LittleEndian.Uint32(head[:4]))
		answerBytes := int(binary.LittleEndian.Uint32(head[4:]))
		if cap(sent) < sentBytes {
			sent = make([]byte, sentBytes)
		}
		for len(answer) < answerBytes {
			answer = append(answer, 0x5a)
		}
		if _, err := io.ReadFull(in, sent[:sentBytes]); err != nil {
			return
		}
		if _, err := os.Stdout.Write(answer[:answerBytes]); err != nil {
			return
		}
	}
}
