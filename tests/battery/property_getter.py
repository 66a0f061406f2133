# A property.
#! function: Report.pages
#! caller: <module>


class Report:
    kept = []

    @property
    def pages(self):
        for _ in range(150):
            self.kept.append(bytearray(1 << 20))  #! here
        return self.kept


Report().pages
