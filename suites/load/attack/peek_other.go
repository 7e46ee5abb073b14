//go:build !unix

package attack

import "net"

// peeker cannot look on this system: a connection that the peer has closed is seen
// only when it is written to.
type peeker struct{}

func (*peeker) watch(*net.TCPConn) {}
func (*peeker) look() peer         { return peerQuiet }
