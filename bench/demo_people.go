package bench

import (
	"fmt"
	"math/rand/v2"
)

// person is what the demo knows about one of its people before they are stored.
type person struct {
	name, handle, city string
	joined             int64 // year
}

var (
	firstNames = [...]string{
		"Ada", "Amir", "Ana", "Bela", "Chen", "Dara", "Elif", "Emil", "Femi", "Gita", "Hana", "Ines", "Ivo", "Jana", "Juan", "Kai",
		"Lena", "Luca", "Maya", "Mia", "Nora", "Omar", "Paul", "Rosa", "Sami", "Tara", "Timo", "Uma", "Vera", "Wim", "Yuki", "Zoe",
	}
	lastNames = [...]string{
		"Abe", "Alves", "Bauer", "Costa", "Diaz", "Dubois", "Eker", "Fischer", "Garcia", "Haas", "Ito", "Jansen", "Kaya", "Khan", "Kim", "Lopez",
		"Meyer", "Moreau", "Novak", "Okoye", "Park", "Rossi", "Sato", "Silva", "Singh", "Tanaka", "Urban", "Vogel", "Weber", "Wang", "Yilmaz", "Ziegler",
	}
	cities = [...]string{"Berlin", "Bogota", "Istanbul", "Lagos", "Lima", "Lisbon", "Mumbai", "Nairobi", "Osaka", "Oslo", "Quito", "Seoul", "Toronto", "Vienna"}
)

// makePerson returns the i-th person. Handles are unique because they end in i.
func makePerson(r *rand.Rand, i int) person {
	first, last := firstNames[r.IntN(len(firstNames))], lastNames[r.IntN(len(lastNames))]
	return person{
		name:   first + " " + last,
		handle: fmt.Sprintf("%s-%s-%d", lower(first), lower(last), i),
		city:   cities[r.IntN(len(cities))],
		joined: 2008 + int64(r.IntN(18)),
	}
}

// lower is strings.ToLower for the first letter of a capitalised ASCII word.
func lower(word string) string { return string(word[0]|0x20) + word[1:] }

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func makePeople(r *rand.Rand, n int) []person {
	people := make([]person, n)
	for i := range people {
		people[i] = makePerson(r, i)
	}
	return people
}

// friendship says that one person, by number, knows another.
type friendship struct{ from, to int }

// The popularity of people falls with a power of their rank: (zipfOffset +
// rank)^-zipfExponent. The first of 20,000 is known by about 1.3 % of all edges.
const (
	zipfExponent = 1.2
	zipfOffset   = 20
)

// makeFriendships draws distinct friendships: who knows is uniform, who is
// known follows the power law. They are ordered by who knows.
func makeFriendships(r *rand.Rand, people, edges int) [][]int {
	zipf := rand.NewZipf(r, zipfExponent, zipfOffset, uint64(people-1))
	byRank := r.Perm(people)
	knows := make([][]int, people)
	seen := make(map[friendship]struct{}, edges)
	for len(seen) < edges {
		f := friendship{r.IntN(people), byRank[zipf.Uint64()]}
		if _, ok := seen[f]; ok || f.from == f.to {
			continue
		}
		seen[f] = struct{}{}
		knows[f.from] = append(knows[f.from], f.to)
	}
	return knows
}

// maxEdges is the most friendships that the drawing finishes quickly with:
// a tenth of all pairs.
func maxEdges(people int) int { return people * (people - 1) / 10 }
