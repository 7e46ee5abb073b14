package main

import (
	"bufio"
	"bytes"
	"net"
	"strconv"
	"sync/atomic"
)

// sink answers every request, and does nothing else: what it costs is the same for
// all, and as little as can be.
type sink struct {
	listener net.Listener
	answered atomic.Int64
}

func listen() (*sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{listener: l}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s, nil
}

func (s *sink) url() string { return "http://" + s.listener.Addr().String() + "/hook" }

func (s *sink) close() error { return s.listener.Close() }

var (
	answer        = []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	contentLength = []byte("content-length:")
)

func (s *sink) serve(conn net.Conn) {
	defer conn.Close()
	br := bufio.NewReaderSize(conn, 16<<10)
	for {
		length := 0
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				return
			}
			if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
				break
			}
			if n := len(contentLength); len(line) > n && bytes.EqualFold(line[:n], contentLength) {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(line[n:]))); err != nil {
					return
				}
			}
		}
		if _, err := br.Discard(length); err != nil {
			return
		}
		s.answered.Add(1)
		if _, err := conn.Write(answer); err != nil {
			return
		}
	}
}
