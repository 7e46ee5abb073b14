package reports

import (
	"strings"
	"unicode/utf8"
)

// marks are the parts of is in which it departs from was, both as Printable shows
// traffic: lines are held against lines, and within a line everything between the first
// and the last difference is one part. Where a line of was is missing, an empty part
// shows the place. There are none where nothing was given to compare with.
func marks(was, is string) [][2]int {
	if was == "" || was == is {
		return nil
	}
	before, after := split(whole(was)), split(whole(is))
	common := inCommon(before, after)
	var all [][2]int
	i, j, at := 0, 0, 0
	for i < len(before) || j < len(after) {
		more, less := j < len(after), i < len(before)
		switch {
		case more && less && before[i] == after[j]:
			at += len(after[j])
			i, j = i+1, j+1
		case more && less && common[i+1][j+1] == common[i][j]: // the one stands for the other
			from, to := departure(before[i], after[j])
			all = append(all, [2]int{at + from, at + to})
			at += len(after[j])
			i, j = i+1, j+1
		case less && (!more || common[i+1][j] >= common[i][j+1]):
			all = append(all, [2]int{at, at})
			i++
		default:
			all = append(all, [2]int{at, at + len(after[j])})
			at += len(after[j])
			j++
		}
	}
	return all
}

// whole is a text without what says that it was cut short.
func whole(printable string) string {
	if cut := cutOff.FindStringIndex(printable); cut != nil {
		return printable[:cut[0]]
	}
	return printable
}

// split cuts escaped text behind each line end.
func split(s string) (lines []string) {
	for s != "" {
		_, rest, _ := cutLine(s)
		lines = append(lines, strings.TrimSuffix(s, rest))
		s = rest
	}
	return lines
}

// mostCompared bounds the lines that are compared of a text: the comparison takes
// their product in time. What is behind them stands for what is behind.
const mostCompared = 200

// inCommon tells, for each pair of places, how many lines the two texts have in common
// from there on, in the same order.
func inCommon(a, b []string) [][]int {
	n := make([][]int, len(a)+1)
	for i := range n {
		n[i] = make([]int, len(b)+1)
	}
	for i := min(len(a), mostCompared) - 1; i >= 0; i-- {
		for j := min(len(b), mostCompared) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				n[i][j] = n[i+1][j+1] + 1
			} else {
				n[i][j] = max(n[i+1][j], n[i][j+1])
			}
		}
	}
	return n
}

// departure is the part of a line that another has otherwise. It splits no escape and no
// character.
func departure(was, is string) (from, to int) {
	a, b := units(was), units(is)
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		from += len(b[same])
		same++
	}
	to = len(is)
	for n := 1; n <= min(len(a), len(b))-same && a[len(a)-n] == b[len(b)-n]; n++ {
		to -= len(b[len(b)-n])
	}
	return from, to
}

// units are the characters and escapes of escaped text.
func units(s string) (all []string) {
	for s != "" {
		unit := unitOf(s)
		all, s = append(all, unit), s[len(unit):]
	}
	return all
}

// unitOf is the first character, or escape, of escaped text.
func unitOf(s string) string {
	if len(s) > 1 && s[0] == '\\' {
		n := 2
		switch s[1] {
		case 'x':
			n = 4
		case 'u':
			n = 6
		case 'U':
			n = 10
		}
		return s[:min(n, len(s))]
	}
	_, n := utf8.DecodeRuneInString(s)
	return s[:n]
}
