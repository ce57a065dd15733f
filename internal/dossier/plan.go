package dossier

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// MaxFiles is how many attachments a package may hold.
const MaxFiles = 100_000

// Format names what this package writes; a change of it makes builds that are
// under way begin anew.
const Format = "avow/package/v1"

// Status is what a package says of a system.
type Status string

// The statuses.
const (
	Included    Status = "included"     // its data is here
	Nothing     Status = "nothing"      // it holds nothing of the person
	ByHand      Status = "by_hand"      // a person has answered for it, and put nothing into this file
	LeftOut     Status = "left_out"     // on a person's decision, with a reason
	NotPortable Status = "not_portable" // Art. 20 does not cover it
)

// plan is what a package will hold. It follows from the input and from what the
// steps have stored, which does not change any more.
type plan struct {
	in       Input
	words    *words
	build    string // digest of everything that the package depends on
	systems  []*part
	received time.Time
}

// part is one system's share.
type part struct {
	connector.Inventory
	Status  Status
	Reason  string
	Counts  map[string]int // records by kind, those that are left out included
	Records int
	objects []Object
	files   []attachment
	kinds   map[string]string // kinds left out, with the reason
	single  map[string]string // single records left out: "kind/n"
}

type attachment struct {
	File
	path   string // in the ZIP
	reason string // why it is left out; "": it is not
}

// number names an attachment without its name, which may be somebody else's.
func (f attachment) number() string {
	base := path.Base(f.path)
	return path.Dir(f.path) + "/" + base[:strings.IndexByte(base, '-')]
}

// plan reads what the steps have stored and decides what becomes of it.
func (b *Builder) plan(ctx context.Context, in Input) (*plan, error) {
	p := &plan{in: in, words: wordsOf(in.Language), received: in.Request.Received}
	files := 0
	for _, inventory := range in.Systems {
		step := exported(in.Steps, inventory.System)
		asked, holds := in.asked(inventory.System)
		if step == nil && !asked {
			continue // it came after this request
		}
		s := &part{Inventory: inventory, Status: Nothing, Counts: map[string]int{}, kinds: map[string]string{}, single: map[string]string{}}
		p.systems = append(p.systems, s)
		if in.Request.Type == request.Portability && !inventory.Portable {
			s.Status = NotPortable
			continue
		}
		if step == nil && !holds {
			continue
		}
		if step == nil || !step.Phase.Ended() {
			return nil, errs.New(errs.Conflict, "the export of %s has not ended", inventory.System)
		}
		if err := b.load(ctx, in.Request.ID, s, *step); err != nil {
			return nil, err
		}
		if files += len(s.files); files > MaxFiles {
			return nil, errs.New(errs.TooLarge, "a package holds up to %d attachments", MaxFiles)
		}
	}
	for i, e := range in.Excluded {
		if !p.exclude(e) {
			return nil, errs.InvalidField(fmt.Sprintf("excluded[%d].part", i), "names no part of the package")
		}
	}
	return p, p.sign()
}

// asked reports whether a system was asked, and whether it has said that it
// holds something, or could not say: then there is a step, and nobody may take
// its absence for nothing.
func (in Input) asked(system string) (asked, holds bool) {
	for _, f := range in.Found {
		if f.System == system {
			return true, len(f.Counts) > 0 || f.Failed
		}
	}
	return false, false
}

func exported(steps []request.Step, system string) *request.Step {
	i := slices.IndexFunc(steps, func(s request.Step) bool {
		return s.System == system && s.Operation == connector.Export && s.Look == 0
	})
	if i < 0 {
		return nil
	}
	return &steps[i]
}

// load reads the indexes of what a step has stored.
func (b *Builder) load(ctx context.Context, id string, s *part, step request.Step) error {
	if step.Phase != request.Finished {
		s.Status, s.Reason = LeftOut, step.Reason
		return nil
	}
	parts, err := b.parts(ctx, id, step)
	if err != nil {
		return err
	}
	for _, stored := range parts {
		for kind, n := range stored.Counts {
			s.Counts[kind] += n
			s.Records += n
		}
		if stored.Records.Bytes > 0 {
			s.objects = append(s.objects, stored.Records)
		}
		for _, f := range stored.Files {
			name := fmt.Sprintf("files/%s/%04d-%s", folder(s.System), len(s.files)+1, safeName(f.Name))
			s.files = append(s.files, attachment{File: f, path: name})
		}
	}
	byHand := slices.ContainsFunc(step.Evidence, func(e connector.Evidence) bool { return e.Call == "by hand" })
	switch {
	case s.Records > 0 || len(s.files) > 0:
		s.Status = Included
	case byHand:
		s.Status = ByHand
	}
	return nil
}

// parts reads the parts of a step, some at a time; what a person has uploaded is
// the last.
func (b *Builder) parts(ctx context.Context, id string, step request.Step) ([]*Part, error) {
	const atOnce = 8
	parts, failed := make([]*Part, step.Chunk, step.Chunk+1), make([]error, step.Chunk, step.Chunk+1)
	turns := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i := range step.Chunk {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			parts[i], failed[i] = b.Store.Part(ctx, id, step.System, i)
		})
	}
	all.Wait()
	if step.Upload != "" {
		brought, err := b.Store.Uploaded(ctx, id, step.System, step.Upload)
		parts, failed = append(parts, brought), append(failed, err)
	}
	if err := cmp.Or(failed...); errs.Is(err, errs.NotFound) {
		return nil, errs.Wrap(errs.Internal, err, "what %s has exported is not there any more", step.System)
	} else if err != nil {
		return nil, err
	}
	return parts, nil
}

// exclude leaves a part out: a file ("files/desk/0001", or its full name), a system
// ("desk", or its file), records of a kind ("desk/tickets"), or the n-th of them
// ("desk/tickets/3"). It reports whether there is such a part.
func (p *plan) exclude(e request.Exclusion) bool {
	reason := cmp.Or(e.Reason, p.words.NoReason)
	name := strings.TrimSuffix(strings.TrimPrefix(e.Part, "data/"), ".json")
	for _, s := range p.systems {
		for i := range s.files {
			if s.files[i].path == e.Part || s.files[i].number() == e.Part {
				s.files[i].reason = reason
				return true
			}
		}
		if name != s.System && !strings.HasPrefix(e.Part, s.System+"/") {
			continue
		}
		if name == s.System {
			s.Status, s.Reason, s.objects, s.files = LeftOut, reason, nil, nil
			return true
		}
		kind, n, single := strings.Cut(strings.TrimPrefix(e.Part, s.System+"/"), "/")
		number, err := strconv.Atoi(n)
		switch {
		case s.Counts[kind] == 0, single && (err != nil || number < 1 || number > s.Counts[kind]):
			return false
		case single:
			s.single[kind+"/"+strconv.Itoa(number)] = reason
		default:
			s.kinds[kind] = reason
		}
		return true
	}
	return false
}

// sign names the build by all that it depends on.
func (p *plan) sign() error {
	type stored struct {
		connector.Inventory
		Status  Status
		Reason  string
		Counts  map[string]int
		Objects []Object
		Files   []File
	}
	r := p.in.Request
	all := struct {
		Format, Request string
		Type            request.Type
		Regime          request.Regime
		Received        time.Time
		Language        string
		Controller      request.Controller
		Systems         []stored
		Excluded        []request.Exclusion
	}{Format, r.ID, r.Type, r.Regime, r.Received, p.words.Language, p.in.Controller, nil, p.in.Excluded}
	for _, s := range p.systems {
		one := stored{Inventory: s.Inventory, Status: s.Status, Reason: s.Reason, Counts: s.Counts, Objects: s.objects}
		for _, f := range s.files {
			one.Files = append(one.Files, f.File)
		}
		all.Systems = append(all.Systems, one)
	}
	sum := sha256.New()
	if err := json.NewEncoder(sum).Encode(all); err != nil {
		return errs.Wrap(errs.Internal, err, "naming a build")
	}
	p.build = hex.EncodeToString(sum.Sum(nil)[:16])
	return nil
}

// most is the largest that the data file of a system can become.
func (s *part) most() int64 {
	most := int64(16)
	for _, o := range s.objects {
		most += o.Bytes
	}
	return most + 2*int64(s.Records)
}

// visible is how many records are in the package.
func (s *part) visible() int {
	n := s.Records
	for kind := range s.kinds {
		n -= s.Counts[kind]
	}
	for single := range s.single {
		if kind, _, _ := strings.Cut(single, "/"); s.kinds[kind] == "" {
			n--
		}
	}
	return n
}

// attached is how many attachments are in the package.
func (s *part) attached() int {
	n := 0
	for _, f := range s.files {
		if f.reason == "" {
			n++
		}
	}
	return n
}

// left are the parts of a system that are left out, with their reasons, in order.
func (s *part) left() []request.Exclusion {
	var list []request.Exclusion
	for _, k := range slices.Sorted(maps.Keys(s.kinds)) {
		list = append(list, request.Exclusion{Part: s.System + "/" + k, Reason: s.kinds[k]})
	}
	for _, k := range slices.Sorted(maps.Keys(s.single)) {
		list = append(list, request.Exclusion{Part: s.System + "/" + k, Reason: s.single[k]})
	}
	for _, f := range s.files {
		if f.reason != "" {
			list = append(list, request.Exclusion{Part: f.number(), Reason: f.reason})
		}
	}
	return list
}

func (s *part) dataFile() string { return "data/" + folder(s.System) + ".json" }

func (s *part) page(n int) string {
	if n == 0 {
		return "pages/" + folder(s.System) + ".html"
	}
	return fmt.Sprintf("pages/%s-%d.html", folder(s.System), n+1)
}

// folder is the name of a system as part of a path.
func folder(system string) string { return clean(strings.ToLower(system), 64) }

// harmless are endings of files that a browser or an office program shows
// without running what is inside.
var harmless = map[string]bool{}

// asText are endings of files that a browser would run, or restyle: they are
// given another one that makes it show their text.
var asText = map[string]bool{}

func init() {
	for _, e := range strings.Fields("pdf png jpg jpeg gif webp bmp tif tiff heic txt csv tsv json ndjson log eml msg ics vcf doc docx xls xlsx ppt pptx odt ods odp rtf mp3 mp4 m4a m4v wav ogg oga opus amr webm mov avi zip gz") {
		harmless["."+e] = true
	}
	for _, e := range strings.Fields("htm html xhtml shtml svg xml xsl js mjs css mht mhtml md yaml yml") {
		asText["."+e] = true
	}
}

// safeName is a file name that no system misreads: no path, no name that a
// device has, no ending by which opening the file would run it.
func safeName(name string) string {
	name = path.Base(strings.ReplaceAll(name, `\`, "/"))
	ending := strings.ToLower(path.Ext(name))
	name = clean(strings.TrimSuffix(name, path.Ext(name)), 80)
	switch {
	case harmless[ending]:
		return name + ending
	case asText[ending]:
		return name + "-" + ending[1:] + ".txt"
	}
	return name + ".bin"
}

// clean keeps letters, digits and hyphens of ASCII.
func clean(s string, most int) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_':
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
		if b.Len() >= most {
			break
		}
	}
	if b.Len() == 0 {
		return "file"
	}
	return b.String()
}
