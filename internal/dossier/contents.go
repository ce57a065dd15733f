package dossier

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/avow-consent/avow/internal/canon"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// unitBytes is about how much one unit of work reads.
const unitBytes = 4 << 20

// contents lists what the ZIP holds, in order. It follows from the plan alone.
func (a *assembly) contents() []item {
	list := []item{
		func(a *assembly) (bool, error) { return false, a.html("index.html", "index", a.index()) },
		func(a *assembly) (bool, error) {
			return false, a.html("information.html", "information", a.information())
		},
	}
	for _, s := range a.plan.systems {
		if s.Status != Included {
			continue
		}
		list = append(list, pagesOf(s), dataOf(s))
		for i := range s.files {
			if s.files[i].reason == "" {
				list = append(list, fileOf(&s.files[i]))
			}
		}
	}
	return append(list,
		func(a *assembly) (bool, error) { return false, a.json("context.json", a.context()) },
		func(a *assembly) (bool, error) { return false, a.json("manifest.json", a.manifest()) },
	)
}

// small is more than any file that is made in memory.
const small = 1 << 30

// json adds a canonical JSON file (RFC 8785).
func (a *assembly) json(name string, v any) error {
	text, err := canon.JSON(v)
	if err != nil {
		return err
	}
	return a.file(name, append(text, '\n'))
}

func (a *assembly) file(name string, text []byte) error {
	if err := a.zip.begin(name, small, false); err != nil {
		return err
	}
	if _, err := a.zip.Write(text); err != nil {
		return err
	}
	return a.zip.end()
}

// dataOf is a system's records as one JSON array, a record on each line.
func dataOf(s *part) item {
	return func(a *assembly) (bool, error) {
		a.read(s)
		if !a.zip.open {
			if err := a.zip.begin(s.dataFile(), s.most(), false); err != nil {
				return false, err
			}
			if _, err := a.zip.Write([]byte("[")); err != nil {
				return false, err
			}
		}
		for done := 0; done < unitBytes; {
			line, err := a.next(s)
			if err != nil {
				return false, err
			}
			if line == nil {
				if _, err := a.zip.Write([]byte("\n]\n")); err != nil {
					return false, err
				}
				return false, a.zip.end()
			}
			comma := ",\n"
			if a.state.At.Shown == 1 {
				comma = "\n"
			}
			if _, err := a.zip.Write([]byte(comma)); err != nil {
				return false, err
			}
			if _, err := a.zip.Write(line); err != nil {
				return false, err
			}
			done += len(line)
		}
		return true, nil
	}
}

// read makes a.lines read the records of a system from the cursor on.
func (a *assembly) read(s *part) {
	if a.lines == nil {
		a.lines = &lines{store: a.builder.Store, objects: s.objects, at: &a.state.At}
	}
}

// next is the next record that is not left out, nil at the end.
func (a *assembly) next(s *part) ([]byte, error) {
	at := &a.state.At
	for {
		line, err := a.lines.next(a.ctx)
		if err != nil || line == nil {
			return nil, err
		}
		if s.selective() {
			kind, err := kindOf(line)
			if err != nil {
				return nil, err
			}
			if n := at.count(kind); s.kinds[kind] != "" || s.single[kind+"/"+strconv.Itoa(n)] != "" {
				continue
			}
		}
		at.Shown++
		return line, nil
	}
}

// selective reports whether records are left out.
func (s *part) selective() bool { return len(s.kinds)+len(s.single) > 0 }

// count numbers a record among those of its kind.
func (c *cursor) count(kind string) int {
	if c.Numbers == nil {
		c.Numbers = map[string]int{}
	}
	c.Numbers[kind]++
	return c.Numbers[kind]
}

func kindOf(line []byte) (string, error) {
	var r struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return "", errs.Wrap(errs.Internal, err, "an exported part holds a line that is no record")
	}
	return r.Kind, nil
}

// fileOf is an attachment, byte for byte.
func fileOf(f *attachment) item {
	stored := !strings.HasPrefix(f.Type, "text/")
	return func(a *assembly) (bool, error) {
		at := &a.state.At
		if !a.zip.open {
			if err := a.zip.begin(f.path, f.Bytes, stored); err != nil {
				return false, err
			}
		}
		buffer := make([]byte, min(readBytes, f.Bytes-at.Offset))
		if err := a.builder.Store.ReadAt(a.ctx, f.Key, buffer, at.Offset); err != nil {
			return false, err
		}
		if _, err := a.zip.Write(buffer); err != nil {
			return false, err
		}
		if at.Offset += int64(len(buffer)); at.Offset < f.Bytes {
			return true, nil
		}
		if err := a.zip.end(); err != nil {
			return false, err
		}
		if a.zip.entries[len(a.zip.entries)-1].SHA256 != f.SHA256 {
			return false, errs.New(errs.Internal, "an attachment is not the one that was exported")
		}
		return false, nil
	}
}

// Manifest lists every other file of a package.
type Manifest struct {
	Format  string         `json:"format"`
	Request string         `json:"request"`
	Type    request.Type   `json:"type"`
	Built   string         `json:"built"` // RFC 3339, UTC
	Files   []ManifestFile `json:"files"`
}

// ManifestFile is one file of a package.
type ManifestFile struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hex
}

func (a *assembly) manifest() Manifest {
	m := Manifest{Format: Format, Request: a.plan.in.Request.ID, Type: a.plan.in.Request.Type, Built: stamp(a.state.Built)}
	for _, e := range a.zip.entries {
		m.Files = append(m.Files, ManifestFile{Name: e.Name, Bytes: e.Bytes, SHA256: e.SHA256})
	}
	return m
}

// about is context.json: what Art. 15 wants to be said beside the data.
type about struct {
	Format     string         `json:"format"`
	Request    string         `json:"request"`
	Type       request.Type   `json:"type"`
	Regime     request.Regime `json:"regime"`
	Received   string         `json:"received"`
	Built      string         `json:"built"`
	Controller who            `json:"controller"`
	Rights     []string       `json:"rights"`
	Systems    []aboutSystem  `json:"systems"`
}

type who struct {
	Name      string          `json:"name"`
	Address   string          `json:"address,omitempty"`
	DPO       request.Contact `json:"dpo"`
	Authority string          `json:"authority"`
}

type aboutSystem struct {
	connector.Inventory
	Status  Status              `json:"status"`
	Reason  string              `json:"reason,omitempty"`
	Records map[string]int      `json:"records,omitempty"`
	Data    string              `json:"data_file,omitempty"`
	Files   int                 `json:"attachments,omitempty"`
	LeftOut []request.Exclusion `json:"left_out,omitempty"`
}

func (a *assembly) context() about {
	r, c := a.plan.in.Request, a.plan.in.Controller
	x := about{
		Format: Format, Request: r.ID, Type: r.Type, Regime: r.Regime, Received: stamp(r.Received), Built: stamp(a.state.Built),
		Controller: who{c.Name, c.Address, c.DPO, c.Authority.In(a.plan.words.Language)}, Rights: a.plan.rights(),
	}
	for _, s := range a.plan.systems {
		one := aboutSystem{Inventory: s.Inventory, Status: s.Status, Reason: s.Reason, LeftOut: s.left()}
		if s.Status == Included {
			one.Data, one.Files = s.dataFile(), s.attached()
			one.Records = s.Counts
		}
		x.Systems = append(x.Systems, one)
	}
	return x
}
