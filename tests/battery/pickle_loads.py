# Objects from a pickle: C code alone.
#! function: Store.restore
import pickle


class Store:
    kept = [None] * 85

    def restore(self, data):
        for index in range(85):
            self.kept[index] = pickle.loads(data)  #! here


Store().restore(pickle.dumps([str(number) for number in range(30000)]))
