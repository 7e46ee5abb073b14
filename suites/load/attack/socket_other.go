//go:build !unix

package attack

import "net"

// socket asks nothing of this system but what net.Conn does. A connection that the peer
// has closed is seen only when it is written to.
type socket struct{ *net.TCPConn }

func (s *socket) watch(conn *net.TCPConn)            { s.TCPConn = conn }
func (*socket) state() peer                          { return peerQuiet }
func (*socket) unread() int                          { return unknown }
func (*socket) send([]byte, bool, bool) (int, error) { return 0, nil }
