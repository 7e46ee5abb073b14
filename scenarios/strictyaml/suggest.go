package strictyaml

import "strings"

// Suggest returns the known word that was probably meant, or "". One slip in a
// short word and two in a longer one are forgiven, and so are case and the
// choice of separator.
func Suggest(word string, known []string) string {
	best, least := "", 3
	for _, k := range known {
		if d := distance(fold(word), fold(k)); d < least && d <= allowed(k) {
			best, least = k, d
		}
	}
	return best
}

func allowed(word string) int { return min(2, (len(word)+1)/3) }

func fold(s string) string {
	return strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(s))
}

// distance counts insertions, deletions, substitutions and swaps of neighbours.
// Words that differ in length by more than two are far apart anyway.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
