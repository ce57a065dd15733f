package dossier

import (
	"bytes"
	"context"

	"github.com/avow-consent/avow/internal/errs"
)

// readBytes is how much is read of an object at once.
const readBytes = 2 << 20

// cursor is a place in the records of a system, between two lines.
type cursor struct {
	Object  int            `json:"o,omitempty"`
	Offset  int64          `json:"f,omitempty"`
	Numbers map[string]int `json:"n,omitempty"` // records passed, by kind
	Shown   int            `json:"s,omitempty"` // records written so far
}

// lines reads the lines of a system's objects from a cursor on, in memory that
// is bounded by the longest line.
type lines struct {
	store   Store
	objects []Object
	at      *cursor // moves with each line
	buffer  []byte
	from    int // buffer[from:] is unread and begins at the cursor
}

// next returns the next line without its end, nil at the end of the records. The
// line is valid until the next call.
func (l *lines) next(ctx context.Context) ([]byte, error) {
	for {
		if l.at.Object >= len(l.objects) {
			return nil, nil
		}
		if i := bytes.IndexByte(l.buffer[l.from:], '\n'); i >= 0 {
			line := l.buffer[l.from : l.from+i]
			l.from += i + 1
			l.at.Offset += int64(i + 1)
			return line, nil
		}
		o := l.objects[l.at.Object]
		unread := len(l.buffer) - l.from
		if l.at.Offset+int64(unread) >= o.Bytes {
			if unread > 0 {
				return nil, errs.New(errs.Internal, "an exported part breaks off in the middle of a record")
			}
			l.at.Object, l.at.Offset, l.buffer, l.from = l.at.Object+1, 0, l.buffer[:0], 0
			continue
		}
		if err := l.fill(ctx, o, unread); err != nil {
			return nil, err
		}
	}
}

// fill reads on behind the unread bytes.
func (l *lines) fill(ctx context.Context, o Object, unread int) error {
	if unread > MaxRecord {
		return errs.New(errs.Internal, "an exported part holds a record of more than %d bytes", MaxRecord)
	}
	copy(l.buffer[:unread], l.buffer[l.from:])
	start := l.at.Offset + int64(unread)
	more := int(min(readBytes, o.Bytes-start))
	if cap(l.buffer) < unread+more {
		l.buffer = append(make([]byte, 0, unread+more), l.buffer[:unread]...)
	}
	l.buffer, l.from = l.buffer[:unread+more], 0
	if err := l.store.ReadAt(ctx, o.Key, l.buffer[unread:], start); err != nil {
		l.buffer = l.buffer[:unread] // what was not read does not count
		if errs.Is(err, errs.NotFound) {
			return errs.Wrap(errs.Internal, err, "what a system has exported is not there any more")
		}
		return err
	}
	return nil
}
