package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/request"
)

// kind is what the configuration must say of a system of a kind.
type kind struct {
	secret    bool // it has credentials
	processor bool // somebody else runs it: a contract is needed (Art. 28 GDPR)
	data      bool // only the configuration knows what it holds
}

// kinds are the connectors that exist. setup.Base.Systems builds each of them.
var kinds = map[string]kind{
	Ledger:              {},
	Manual:              {data: true},
	"genesys":           {secret: true, processor: true},
	"refdesk":           {secret: true, processor: true},
	"salesforce":        {secret: true, processor: true},
	"whatsapp":          {secret: true, processor: true},
	"zendesk-chat":      {secret: true, processor: true},
	"zendesk-messaging": {secret: true, processor: true},
	"zendesk-support":   {secret: true, processor: true},
	"zoom":              {secret: true, processor: true},
}

// Kinds are the kinds of system that can be configured, in order.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// System is one system of the configuration.
type System struct {
	Name       string
	Kind       string
	Title      connector.Text
	Secret     string          // of its credentials, behind the prefix of the stack; "" without
	Config     json.RawMessage // the connector's own settings; it refuses what it does not know
	Data       []connector.Category
	Basis      connector.Text // of each category that states none of its own
	Recipients []connector.Text
	Source     connector.Text
	Processor  *connector.Processor
	Region     string
	Transfer   string
	Backups    connector.Text
	Automated  *connector.Automated
	Portable   bool
	Retrieval  request.Retrieval
	DryRun     bool
	// Marks are the flags of the system that follow answers: preference by flag.
	Marks map[string]string
}

// Inventory is what the configuration knows of the system. A connector adds
// what it can do, and what it holds where that is left open.
func (s System) Inventory() connector.Inventory {
	return connector.Inventory{
		System: s.Name, Kind: s.Kind, Title: titleOf(s.Title, s.Name), Data: s.Data, Basis: s.Basis, Recipients: s.Recipients,
		Source: s.Source, Processor: s.Processor, Region: s.Region, EEA: InEEA(s.Region), Transfer: s.Transfer,
		Backups: s.Backups, Automated: s.Automated, Portable: s.Portable,
	}
}

// entry is a system as the file has it.
type entry struct {
	Name       string               `json:"name"`
	Kind       string               `json:"kind"`
	Title      connector.Text       `json:"title"`
	Secret     string               `json:"secret"`
	Config     json.RawMessage      `json:"config"`
	Data       []connector.Category `json:"data"`
	Basis      connector.Text       `json:"basis"`
	Recipients []connector.Text     `json:"recipients"`
	Source     connector.Text       `json:"source"`
	Processor  *connector.Processor `json:"processor"`
	Region     string               `json:"region"`
	Transfer   string               `json:"transfer"`
	Backups    connector.Text       `json:"backups"`
	Automated  *automated           `json:"automated"`
	Portable   bool                 `json:"portable"`
	Retrieval  *retrieval           `json:"retrieval"`
	DryRun     bool                 `json:"dry_run"`
	Marks      map[string]string    `json:"marks"` // flag by preference
}

type retrieval struct {
	From       int                   `json:"from"`
	To         int                   `json:"to"`
	Operations []connector.Operation `json:"operations"`
	PerDay     int                   `json:"per_day"`
}

// automated is connector.Automated, of which nothing may be left open: who has
// not said whether there are decisions has stated nothing.
type automated struct {
	Decisions    *bool          `json:"decisions"`
	Logic        connector.Text `json:"logic"`
	Consequences connector.Text `json:"consequences"`
}

var nameForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

func parseSystems(list []json.RawMessage) ([]System, error) {
	if len(list) > MaxSystems {
		return nil, fmt.Errorf("systems: there are more than %d", MaxSystems)
	}
	systems := []System{{Name: Ledger, Kind: Ledger, Portable: true}}
	seen := map[string]bool{}
	for i, text := range list {
		s, err := parseSystem(i, text)
		if err != nil {
			return nil, err
		}
		if seen[s.Name] {
			return nil, say(fmt.Sprintf("system %q", s.Name), "the name stands twice")
		}
		seen[s.Name] = true
		if s.Name == Ledger {
			s.Portable = true
			systems[0] = s
			continue
		}
		systems = append(systems, s)
	}
	return systems, nil
}

func parseSystem(i int, text json.RawMessage) (System, error) {
	where := fmt.Sprintf("systems[%d]", i)
	var name struct{ Name string }
	if json.Unmarshal(text, &name) == nil && name.Name != "" {
		where = fmt.Sprintf("system %q", name.Name)
	}
	var e entry
	if err := strict(where, text, &e); err != nil {
		return System{}, err
	}
	if err := e.nested(where, text); err != nil {
		return System{}, err
	}
	for _, check := range []func(string) error{e.checkName, e.checkKind, e.checkSecret, e.checkProcessor, e.checkRegion, e.checkData, e.checkAutomated, e.checkRetrieval, e.checkMarks} {
		if err := check(where); err != nil {
			return System{}, err
		}
	}
	s := System{
		Name: e.Name, Kind: e.Kind, Title: e.Title, Secret: e.Secret, Config: e.Config, Data: e.Data, Basis: e.Basis,
		Recipients: e.Recipients, Source: e.Source, Processor: e.Processor, Region: e.Region, Transfer: e.Transfer,
		Backups: e.Backups, Portable: e.Portable, DryRun: e.DryRun, Marks: map[string]string{},
	}
	for preference, flag := range e.Marks {
		s.Marks[flag] = preference
	}
	if a := e.Automated; a != nil {
		s.Automated = &connector.Automated{Decisions: *a.Decisions, Logic: a.Logic, Consequences: a.Consequences}
	}
	if r := e.Retrieval; r != nil {
		s.Retrieval = request.Retrieval{From: r.From, To: r.To, Operations: r.Operations, PerDay: r.PerDay}
	}
	return s, nil
}

// nested refuses unknown keys further down.
func (e entry) nested(where string, text json.RawMessage) error {
	fields, err := object(where, text)
	if err != nil {
		return err
	}
	for key, into := range map[string]any{"processor": &connector.Processor{}, "retrieval": &retrieval{}, "automated": &automated{}} {
		if string(fields[key]) == "null" {
			continue
		}
		if err := strict(where+": "+key, fields[key], into); err != nil {
			return err
		}
	}
	var categories []json.RawMessage
	if fields["data"] != nil && json.Unmarshal(fields["data"], &categories) != nil {
		return say(where, "data must be a list")
	}
	for i, c := range categories {
		if err := strict(fmt.Sprintf("%s: data[%d]", where, i), c, &connector.Category{}); err != nil {
			return err
		}
	}
	return nil
}

func (e entry) checkName(where string) error {
	if !nameForm.MatchString(e.Name) {
		return say(where, "name must be 1 to 32 of a-z, 0-9 and -, and begin with a letter")
	}
	return nil
}

func (e entry) checkKind(where string) error {
	if _, ok := kinds[e.Kind]; !ok {
		return say(where, "unknown kind %q; the kinds are %s", e.Kind, strings.Join(Kinds(), ", "))
	}
	if (e.Kind == Ledger) != (e.Name == Ledger) {
		return say(where, "the name and the kind %q belong to each other", Ledger)
	}
	if e.Kind == Ledger && len(e.Config) > 0 {
		return say(where, "config is set, but the ledger has no settings of its own")
	}
	return nil
}

var secretForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (e entry) checkSecret(where string) error {
	switch needed := kinds[e.Kind].secret; {
	case needed && e.Secret == "":
		return say(where, "secret is missing: name the secret that holds its credentials")
	case !needed && e.Secret != "":
		return say(where, "secret is set, but a system of kind %s has no credentials", e.Kind)
	case needed && !secretForm.MatchString(e.Secret):
		return say(where, "secret must be the name of a secret of 1 to 64 letters, digits, _ and -, never the secret itself")
	}
	return nil
}

func (e entry) checkProcessor(where string) error {
	p := e.Processor
	if p == nil {
		if kinds[e.Kind].processor {
			return say(where, "processor is missing: say who runs the system, and since when there is a data processing agreement")
		}
		return nil
	}
	if p.Name == "" {
		return say(where, "processor.name is missing")
	}
	if p.DPA == "" {
		return say(where, "processor.dpa is missing: a processor without the date of its data processing agreement may not hold personal data (Art. 28(3) GDPR)")
	}
	if err := date(where, "processor.dpa", p.DPA); err != nil {
		return err
	}
	for _, d := range []struct{ field, on string }{{"processor.review", p.Review}, {"processor.expires", p.Expires}} {
		if d.on == "" {
			continue
		}
		if err := date(where, d.field, d.on); err != nil {
			return err
		}
	}
	if p.Expires != "" && p.Expires <= p.DPA {
		return say(where, "processor.expires must come after processor.dpa")
	}
	return nil
}

func (e entry) checkRegion(where string) error {
	if e.Region == "" && e.Kind == Ledger {
		return nil // it is where Avow is: the template has the same rule
	}
	if e.Region == "" {
		return say(where, "region is missing: a country such as FR, or a region such as eu-central-1")
	}
	if !InEEA(e.Region) && strings.TrimSpace(e.Transfer) == "" {
		return say(where, "region %q is outside the European Economic Area and transfer names no basis (Art. 44 to 49 GDPR)", e.Region)
	}
	return nil
}

func (e entry) checkData(where string) error {
	if kinds[e.Kind].data && len(e.Data) == 0 {
		return say(where, "data is missing: say which categories of personal data it holds, for what, and for how long")
	}
	fields := map[string]connector.Text{"title": e.Title, "basis": e.Basis, "source": e.Source, "backups": e.Backups}
	for i, r := range e.Recipients {
		fields[fmt.Sprintf("recipients[%d]", i)] = r
	}
	for i, c := range e.Data {
		at := fmt.Sprintf("data[%d].", i)
		if len(c.Name) == 0 || len(c.Purpose) == 0 || len(c.Retention) == 0 {
			return say(where, "%s needs name, purpose and retention", strings.TrimSuffix(at, "."))
		}
		fields[at+"name"], fields[at+"purpose"], fields[at+"retention"], fields[at+"basis"] = c.Name, c.Purpose, c.Retention, c.Basis
	}
	return texts(where, fields)
}

func (e entry) checkAutomated(where string) error {
	a := e.Automated
	if a == nil {
		return nil
	}
	switch explained := len(a.Logic) > 0 || len(a.Consequences) > 0; {
	case a.Decisions == nil:
		return say(where, "automated.decisions is missing: say true or false, or leave automated out")
	case *a.Decisions && (len(a.Logic) == 0 || len(a.Consequences) == 0):
		return say(where, "automated needs logic and consequences: who is decided about by a machine is told how, and what it leads to (Art. 15(1)(h) GDPR)")
	case !*a.Decisions && explained:
		return say(where, "automated.decisions is false, but logic or consequences are set")
	}
	return texts(where, map[string]connector.Text{"automated.logic": a.Logic, "automated.consequences": a.Consequences})
}

func (e entry) checkRetrieval(where string) error {
	r := e.Retrieval
	if r == nil {
		return nil
	}
	if r.From < 0 || r.From > 23 || r.To < 0 || r.To > 24 {
		return say(where, "retrieval.from and retrieval.to are hours of the day, 0 to 24")
	}
	if r.PerDay < 0 {
		return say(where, "retrieval.per_day must not be negative")
	}
	for _, o := range r.Operations {
		if !slices.Contains(operations, o) {
			return say(where, "retrieval.operations: unknown operation %q", o)
		}
	}
	return nil
}

// checkMarks: what a flag says must follow from one answer.
func (e entry) checkMarks(where string) error {
	of := map[string]string{}
	for _, preference := range slices.Sorted(maps.Keys(e.Marks)) {
		flag := e.Marks[preference]
		switch {
		case preference == "" || len(preference) > 128 || flag == "" || len(flag) > 128:
			return say(where, "marks must be flags by preference, each 1 to 128 bytes")
		case of[flag] != "":
			return say(where, "marks: the flag %q cannot follow both %q and %q", flag, of[flag], preference)
		}
		of[flag] = preference
	}
	return nil
}

var operations = []connector.Operation{connector.Export, connector.Rectify, connector.Erase, connector.Restrict, connector.Object, connector.Tell}
