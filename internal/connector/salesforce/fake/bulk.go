package fake

import (
	"encoding/csv"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// BulkJob is a job of Bulk API 2.0.
type BulkJob struct {
	ID, Object, State string
	IDs               []string
	Failed            map[string]string // id: code
	Ready             time.Time
}

func fakeFile(v *Record) fakekit.Raw {
	return fakekit.Raw{Header: http.Header{"Content-Type": {"application/octet-stream"}}, Text: v.text("Text")}
}

func (s *Server) createJob(r *http.Request) (int, any) {
	var want struct{ Object, Operation, ContentType, LineEnding string }
	switch {
	case !body(r, &want) || want.ContentType != "CSV" || want.LineEnding != "LF":
		return problem(400, "INVALIDJOB", "the job cannot be read")
	case want.Operation == "hardDelete" && s.o.NoHard:
		return problem(400, "FEATURENOTENABLED", "hardDelete operation requires special user profile permission, please contact your system administrator")
	case want.Operation != "hardDelete":
		return problem(400, "INVALIDJOB", "unknown operation")
	}
	if _, ok := s.object(want.Object); !ok {
		return problem(400, "INVALIDENTITY", "unknown object")
	}
	job := &BulkJob{ID: "750" + recordID("", atoi(s.Number())), Object: want.Object, State: "Open", Failed: map[string]string{}}
	s.data.Jobs[job.ID] = job
	return 200, job.row()
}

func (j *BulkJob) row() map[string]any {
	row := map[string]any{"id": j.ID, "object": j.Object, "operation": "hardDelete", "state": j.State, "contentType": "CSV", "lineEnding": "LF", "contentUrl": "services/data/v" + Version + "/jobs/ingest/" + j.ID + "/batches"}
	if j.State == "JobComplete" {
		row["numberRecordsProcessed"], row["numberRecordsFailed"] = len(j.IDs), len(j.Failed)
	}
	return row
}

func (s *Server) job(r *http.Request) *BulkJob { return s.data.Jobs[r.PathValue("id")] }

func (s *Server) upload(r *http.Request) (int, any) {
	j := s.job(r)
	switch {
	case j == nil:
		return noRecord()
	case j.State != "Open" || len(j.IDs) > 0:
		return problem(400, "INVALIDJOBSTATE", "Job can't receive data")
	case r.Header.Get("Content-Type") != "text/csv":
		return problem(415, "UNSUPPORTED_MEDIA_TYPE", "only text/csv")
	}
	rows := csv.NewReader(r.Body)
	header, err := rows.Read()
	if err != nil || len(header) != 1 || header[0] != "Id" {
		return problem(400, "INVALIDBATCH", "the header must be Id")
	}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return 201, nil
		}
		if err != nil {
			return problem(400, "INVALIDBATCH", "the CSV cannot be read")
		}
		j.IDs = append(j.IDs, row[0])
	}
}

func (s *Server) closeJob(r *http.Request) (int, any) {
	var want struct{ State string }
	j := s.job(r)
	switch {
	case j == nil:
		return noRecord()
	case !body(r, &want) || j.State != "Open" || want.State != "UploadComplete" && want.State != "Aborted":
		return problem(400, "INVALIDJOBSTATE", "the state cannot be changed so")
	}
	j.State, j.Ready = want.State, s.Time().Add(s.Lasts(Job))
	return 200, j.row()
}

func (s *Server) getJob(r *http.Request) (int, any) {
	j := s.job(r)
	if j == nil {
		return noRecord()
	}
	return 200, j.row()
}

// run carries out jobs whose time has come. One that is complete may have
// failed rows.
func (s *Server) run() {
	for _, j := range s.data.Jobs {
		if j.State == "UploadComplete" && s.Time().After(j.Ready.Add(-s.Lasts(Job)/2)) {
			j.State = "InProgress"
		}
		if j.State != "InProgress" || s.Time().Before(j.Ready) {
			continue
		}
		j.State = "JobComplete"
		for _, id := range j.IDs {
			r := s.data.Records[id]
			switch {
			case r == nil || r.Type != j.Object:
				j.Failed[id] = "ENTITY_IS_DELETED"
			case s.data.Vetoed["hard "+id] != "":
				j.Failed[id] = s.data.Vetoed["hard "+id]
			default:
				s.cascade(r, func(child *Record) { delete(s.data.Records, child.ID) })
				delete(s.data.Records, id)
			}
		}
	}
}

func (s *Server) failedResults(r *http.Request) (int, any) {
	j := s.job(r)
	if j == nil {
		return noRecord()
	}
	var b strings.Builder
	b.WriteString("\"sf__Id\",\"sf__Error\",Id\n")
	for _, id := range j.IDs {
		if code := j.Failed[id]; code != "" {
			b.WriteString("\"" + id + "\",\"" + code + ":the record of somebody, \"\"quoted\"\":--\",\"" + id + "\"\n")
		}
	}
	return 200, fakekit.Raw{Header: http.Header{"Content-Type": {"text/csv"}}, Text: b.String()}
}
