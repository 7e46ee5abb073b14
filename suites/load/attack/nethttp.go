package attack

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/hookanvil/hookanvil/fixtures/wire"
)

// nethttp has net/http send the requests: over HTTP/2, where connections are shared,
// and through proxies. It follows no redirect, reads no proxy from the environment and
// sends nothing twice.
type nethttp struct {
	ctx       context.Context
	transport *http.Transport
	url       *url.URL
	keep      bool
	buf       []byte
	stopped   atomic.Bool
	cancel    context.CancelFunc
}

// newTransport is shared by all workers.
func newTransport(t Target, p Plan, dials, open *atomic.Int64) *http.Transport {
	tr := &http.Transport{
		MaxConnsPerHost: p.Connections, MaxIdleConnsPerHost: p.Connections,
		DisableCompression: true, MaxResponseHeaderBytes: maxHead, Protocols: new(http.Protocols),
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if t.Proxy == nil {
				address = t.Endpoint.Address.String()
			}
			dials.Add(1)
			c, err := new(net.Dialer).DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			open.Add(1)
			return &counted{Conn: c, open: open}, nil
		},
	}
	if t.Proxy != nil {
		tr.Proxy = http.ProxyURL(t.Proxy)
	}
	switch {
	case t.HTTP2 && t.Endpoint.TLS == nil:
		tr.Protocols.SetUnencryptedHTTP2(true)
	case t.HTTP2:
		tr.Protocols.SetHTTP2(true)
	default:
		tr.Protocols.SetHTTP1(true)
	}
	if t.Endpoint.TLS != nil {
		tr.TLSClientConfig = t.Endpoint.TLS.Clone()
		// Config.Certificates would show none to a peer that names other authorities.
		tr.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if t.Endpoint.Identity == nil {
				return new(tls.Certificate), nil
			}
			return t.Endpoint.Identity, nil
		}
	}
	return tr
}

// counted tells when a connection is closed.
type counted struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
}

func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

// onceReader is a body that net/http cannot read again, and therefore cannot send again.
type onceReader struct{ io.Reader }

func (c *nethttp) stop() {
	c.stopped.Store(true)
	c.cancel()
}

func (c *nethttp) close() {}

func (c *nethttp) do(request []byte, body int, _ bool, deadline time.Time) (answer, bool, error) {
	if c.stopped.Load() {
		return answer{}, false, errStopped
	}
	ctx, cancel := context.WithDeadline(c.ctx, deadline)
	defer cancel()
	// An early answer returns before net/http has done with the body.
	written := &watched{r: bytes.NewReader(bytes.Clone(request[len(request)-body:]))}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url.Scheme+"://"+c.url.Host+targetOf(request), onceReader{written})
	if err != nil {
		return answer{}, false, err
	}
	req.ContentLength = int64(body)
	for _, h := range headersOf(request) {
		req.Header[h.Name] = append(req.Header[h.Name], h.Value)
	}
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return answer{}, written.read.Load(), unwrapped(err)
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return answer{}, true, errSwitched
	}
	c.buf, a.received, err = drain(c.buf[:0], res.Body, c.keep)
	if err != nil {
		return answer{received: a.received}, true, err
	}
	a.body = c.buf
	return a, true, nil
}

// targetOf is what the request line names.
func targetOf(request []byte) string {
	_, rest, _ := bytes.Cut(request, []byte(" "))
	target, _, _ := bytes.Cut(rest, []byte(" "))
	return string(target)
}

// drain reads a body, and keeps its beginning where it is looked at.
func drain(kept []byte, body io.Reader, keep bool) ([]byte, int64, error) {
	var total int64
	var chunk [8 << 10]byte
	for total < maxDrain {
		n, err := body.Read(chunk[:])
		total += int64(n)
		if keep {
			kept = append(kept, chunk[:min(n, maxKept-len(kept))]...)
		}
		if err == io.EOF {
			return kept, total, nil
		}
		if err != nil {
			return kept, total, err
		}
	}
	return kept, total, nil
}

// watched tells whether a body was begun to be read.
type watched struct {
	r    *bytes.Reader
	read atomic.Bool
}

func (w *watched) Read(p []byte) (int, error) {
	w.read.Store(true)
	return w.r.Read(p)
}

// unwrapped names errors of net/http that have no type.
func unwrapped(err error) error {
	var op *net.OpError
	var record tls.RecordHeaderError
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.As(err, &op), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &record), errors.As(err, &unverified):
		return fmt.Errorf("%w: %w", errTLS, err)
	case wire.IsOurs(err):
		return err
	}
	return fmt.Errorf("%w: %w", errBadAnswer, err)
}

var errTLS = errors.New("the TLS handshake failed")
