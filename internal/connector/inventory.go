package connector

import (
	"slices"
	"time"
)

// Inventory is what a record of processing (Art. 30) and an answer to an access
// request (Art. 15) say of a system.
type Inventory struct {
	System     string      `json:"system"` // its name in systems.json
	Kind       string      `json:"kind"`   // which connector
	Title      Text        `json:"title"`  // what the person is shown
	Data       []Category  `json:"data"`
	Basis      Text        `json:"-"` // legal basis of each category that states none of its own
	Recipients []Text      `json:"recipients,omitempty"`
	Flows      []Flow      `json:"flows,omitempty"`  // to other systems
	Source     Text        `json:"source,omitempty"` // where the data comes from
	Processor  *Processor  `json:"processor,omitempty"`
	Region     string      `json:"region"`             // ISO 3166 country or a vendor's region
	EEA        bool        `json:"eea"`                // whether the region is inside the European Economic Area
	Transfer   string      `json:"transfer,omitempty"` // basis of a transfer out of the EEA
	Backups    Text        `json:"backups,omitempty"`  // what ages out by itself, and when
	Automated  *Automated  `json:"automated"`          // automated decision-making; null: the controller has stated nothing
	Does       []Operation `json:"does"`               // what the connector can carry out by itself
	Portable   bool        `json:"portable,omitempty"` // whether Art. 20 covers it: given by the person, on consent or contract
}

// Complete adds what the connector knows of its vendor to what systems.json says.
// What it can do is the connector's to say; its data, their source and the backups
// are the company's, which may know better. Only the company knows the legal basis of
// what it keeps in a vendor's system.
func (i Inventory) Complete(known Inventory) Inventory {
	i.Does = known.Does
	if len(i.Data) == 0 {
		i.Data = known.Data
	}
	i.Data = slices.Clone(i.Data)
	for n := range i.Data {
		if len(i.Data[n].Basis) == 0 {
			i.Data[n].Basis = i.Basis
		}
	}
	if len(i.Source) == 0 {
		i.Source = known.Source
	}
	if len(i.Backups) == 0 {
		i.Backups = known.Backups
	}
	return i
}

// Flow is personal data that a system hands to systems of another kind by itself.
type Flow struct {
	To   string `json:"to"` // kind of the other system
	Data Text   `json:"data"`
}

// Text is a text by language (BCP 47).
type Text map[string]string

// In returns the text in a language, else in English, else any.
func (t Text) In(language string) string {
	if s, ok := t[language]; ok {
		return s
	}
	if s, ok := t["en"]; ok {
		return s
	}
	for _, s := range t {
		return s
	}
	return ""
}

// Category is a category of personal data.
type Category struct {
	Name      Text `json:"name"`
	Purpose   Text `json:"purpose"`
	Retention Text `json:"retention"`
	Basis     Text `json:"basis,omitempty"`
}

// Automated is what the controller states of automated decision-making on the
// system's data, profiling included (Art. 15(1)(h) GDPR, with Art. 22(1), (4)).
type Automated struct {
	Decisions    bool `json:"decisions"`
	Logic        Text `json:"logic,omitempty"`        // meaningful information about how it decides
	Consequences Text `json:"consequences,omitempty"` // its significance and what it is likely to lead to
}

// Processor is who runs a system for the controller (Art. 28).
type Processor struct {
	Name    string `json:"name"`
	DPA     string `json:"dpa"`               // date of the data processing agreement, 2026-03-01
	Clauses string `json:"clauses,omitempty"` // "SCC 2021/914, module 2"
	Review  string `json:"review,omitempty"`  // date of the next review
	Expires string `json:"expires,omitempty"` // date on which the agreement ends
}

// Lapse is why an agreement with a processor needs somebody.
type Lapse string

// The lapses; "" is none.
const (
	Ended      Lapse = "ended"      // the day of its end has come
	Unreviewed Lapse = "unreviewed" // its review is due and no later one is set
)

// Lapsed is what is wrong with the agreement, and since which day, in UTC. One
// that has ended needs no review: a new one is signed.
func (p *Processor) Lapsed(now time.Time) (why Lapse, since time.Time) {
	if p == nil {
		return "", time.Time{}
	}
	for _, due := range []struct {
		why Lapse
		on  string
	}{{Ended, p.Expires}, {Unreviewed, p.Review}} {
		if day, err := time.Parse(time.DateOnly, due.on); err == nil && !day.After(now) {
			return due.why, day
		}
	}
	return "", time.Time{}
}

// Can reports whether the connector carries an operation out by itself; what it
// cannot becomes a task for a person.
func (i Inventory) Can(o Operation) bool {
	for _, does := range i.Does {
		if does == o {
			return true
		}
	}
	return false
}
