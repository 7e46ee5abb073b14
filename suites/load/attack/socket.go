package attack

// unknown is how much is left to be read where nobody says.
const unknown = -1

// peer is what the other end of an idle connection has done.
type peer int

const (
	peerQuiet peer = iota
	peerTalks      // it sent something
	peerGone       // it closed the connection
)
